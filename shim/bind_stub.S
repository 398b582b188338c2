/* SPDX-License-Identifier: Apache-2.0 */
/* dlopen and dlsym as stubs that jump. libc looks at the return address to find the caller's
 * RUNPATH ($ORIGIN) and what RTLD_NEXT is relative to, so it has to stay the application's: a C
 * function that calls the real one would break both. */

#if defined(__x86_64__)

    .text
    .globl  dlopen
    .type   dlopen, @function
dlopen:
    .cfi_startproc
    endbr64
    andl    $~8, %esi                   /* RTLD_DEEPBIND: PHP's extensions would not see us */
    cmpq    $0, shim_real_dlopen(%rip)
    je      1f
    jmp     *shim_real_dlopen(%rip)
1:  pushq   %rdi
    .cfi_adjust_cfa_offset 8
    pushq   %rsi
    .cfi_adjust_cfa_offset 8
    subq    $8, %rsp
    .cfi_adjust_cfa_offset 8
    call    shim_bind
    addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq    %rsi
    .cfi_adjust_cfa_offset -8
    popq    %rdi
    .cfi_adjust_cfa_offset -8
    jmp     *shim_real_dlopen(%rip)
    .cfi_endproc
    .size   dlopen, . - dlopen

    .globl  dlsym
    .type   dlsym, @function
dlsym:
    .cfi_startproc
    endbr64
    pushq   %rdi
    .cfi_adjust_cfa_offset 8
    pushq   %rsi
    .cfi_adjust_cfa_offset 8
    subq    $8, %rsp
    .cfi_adjust_cfa_offset 8
    call    shim_dlsym_pick
    addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq    %rsi
    .cfi_adjust_cfa_offset -8
    popq    %rdi
    .cfi_adjust_cfa_offset -8
    testq   %rax, %rax
    jnz     1f
    jmp     *shim_real_dlsym(%rip)
1:  ret
    .cfi_endproc
    .size   dlsym, . - dlsym

#elif defined(__aarch64__)

    .text
    .globl  dlopen
    .type   dlopen, %function
dlopen:
    .cfi_startproc
    hint    #34                         /* bti c */
    and     w1, w1, #~8                 /* RTLD_DEEPBIND: PHP's extensions would not see us */
    adrp    x16, shim_real_dlopen
    ldr     x16, [x16, #:lo12:shim_real_dlopen]
    cbnz    x16, 1f
    stp     x29, x30, [sp, #-32]!
    .cfi_adjust_cfa_offset 32
    stp     x0, x1, [sp, #16]
    bl      shim_bind
    ldp     x0, x1, [sp, #16]
    ldp     x29, x30, [sp], #32
    .cfi_adjust_cfa_offset -32
    adrp    x16, shim_real_dlopen
    ldr     x16, [x16, #:lo12:shim_real_dlopen]
1:  br      x16
    .cfi_endproc
    .size   dlopen, . - dlopen

    .globl  dlsym
    .type   dlsym, %function
dlsym:
    .cfi_startproc
    hint    #34                         /* bti c */
    stp     x29, x30, [sp, #-32]!
    .cfi_adjust_cfa_offset 32
    stp     x0, x1, [sp, #16]
    bl      shim_dlsym_pick
    mov     x16, x0
    ldp     x0, x1, [sp, #16]
    ldp     x29, x30, [sp], #32
    .cfi_adjust_cfa_offset -32
    cbz     x16, 1f
    mov     x0, x16
    ret
1:  adrp    x16, shim_real_dlsym
    ldr     x16, [x16, #:lo12:shim_real_dlsym]
    br      x16
    .cfi_endproc
    .size   dlsym, . - dlsym

#else
#error "Flyball's shim has dlopen and dlsym stubs for x86-64 and aarch64 only"
#endif

    .section .note.GNU-stack, "", %progbits
