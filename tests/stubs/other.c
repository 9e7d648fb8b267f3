/* A library with a vendor's name and nothing of his in it. */
#include "stub.h"

STUB_API int something_else(void)
{
    return 0;
}
