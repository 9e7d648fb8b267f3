/* What a text that is kept or shown must not hold. */
#ifndef ME_CREDENTIALS_H
#define ME_CREDENTIALS_H

/* Puts '*' in place of each password in a URL: "http://ann:secret@pdu/7" becomes "http://ann:*@pdu/7". The
 * text never grows. */
void me_credentials_mask(char *text);

#endif
