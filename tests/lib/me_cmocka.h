/* cmocka with the headers it asks for, in its order. */
#ifndef ME_CMOCKA_H
#define ME_CMOCKA_H
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#endif
