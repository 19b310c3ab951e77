/* The smallest useful service: no libc, no dynamic linker, so that a start
 * costs what the kernel and the server cost and nothing else.
 *   tiny        write "hello\n", exit
 *   tiny hold   write "hello\n", then read until the caller hangs up, exit */
enum { READ, WRITE, EXIT };

static long call(int what, long a, long b, long c)
{
#if defined(__x86_64__)
    static const short nr[] = {0, 1, 231};
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"((long)nr[what]), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
#elif defined(__aarch64__)
    static const short nr[] = {63, 64, 94};
    register long x8 __asm__("x8") = nr[what], x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#else
#error "add the three system calls of this architecture"
#endif
}

__attribute__((used, noreturn)) void begin(const long *sp)
{
    char b[64];
    call(WRITE, 1, (long)"hello\n", 6);
    if (sp[0] > 1)
        while (call(READ, 0, (long)b, sizeof b) > 0)
            ;
    call(EXIT, 0, 0, 0);
    __builtin_unreachable();
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tmov %rsp,%rdi\n\tand $-16,%rsp\n\tcall begin\n");
#else
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl begin\n");
#endif
