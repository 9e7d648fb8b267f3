#ifndef ME_VERSION_H
#define ME_VERSION_H
#define ME_VERSION "0.1.0"
#endif
