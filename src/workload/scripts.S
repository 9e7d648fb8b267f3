/* Our Python files as they stand in the tree; the build makes the list (top CMakeLists.txt). */
#if defined(__linux__) && defined(__ELF__)
.section .note.GNU-stack, "", %progbits
#endif

#define ME_SCRIPT(name, file) \
    .8byte 2f - 1f;           \
    .asciz name;              \
    1: .incbin file;          \
    2:

.section .rodata
.global me_scripts_bytes
.hidden me_scripts_bytes
me_scripts_bytes:
#include "scripts.list"
.8byte 0
.asciz ""
