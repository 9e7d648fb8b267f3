/* scripts/install-framework as it stands: what `me hosts --install-framework` sends. */
#if defined(__linux__) && defined(__ELF__)
.section .note.GNU-stack, "", %progbits
#endif

.section .rodata
.global me_install_text
.hidden me_install_text
.global me_install_text_end
.hidden me_install_text_end
.balign 16
me_install_text:
.incbin "install-framework"
me_install_text_end:
.byte 0
