/* The skeleton: the design this project follows, with nothing else in it. No
 * configuration, no limits, no log, no access control: it says how far below
 * the design's own cost a real server is.
 *
 *   skeleton spawn PORT COUNT UID PROGRAM [ARG..]   COUNT services on PORT, PORT+1, ..
 *   skeleton echo PORT                              TCP echo in the loop
 *   skeleton udp PORT                               UDP echo, many datagrams a call
 *
 * spawn: one thread accepts and starts children with clone(CLONE_VM), without CLONE_VFORK.
 * Its descriptor table is small; the listeners stay in the main thread's and are borrowed
 * with pidfd_getfd, so that a child does not copy a thousand of them. A recent child is
 * asked for by its number, one that lives longer gets a pidfd: nothing walks all children. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 64, STACK = 16384, HIGH = 64, RECENT = 65536, RECENT_MS = 20 };

static void must(int ok, const char *what)
{
    if (ok) return;
    perror(what);
    exit(1);
}

static int listener(int port, int type, int backlog)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int low = socket(AF_INET, type | SOCK_CLOEXEC, 0), fd = fcntl(low, F_DUPFD_CLOEXEC, HIGH);
    must(fd >= 0, "socket");
    close(low);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    must(!bind(fd, (void *)&a, sizeof a), "bind");
    if (type == SOCK_STREAM) must(!listen(fd, backlog), "listen"), fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void watch(int ep, int fd, uint64_t as)
{
    must(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.u64 = as}}), "epoll_ctl");
}

/* -------------------------------------------------------------------- spawn */
/* two descriptor tables: a number alone does not say what it is */
#define SIGNALS (1ULL << 32)
#define PIDFD (2ULL << 32)

static char **program, *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
static int uid, loop_ep, loop_signals;
static sigset_t mask;
static struct slot { volatile int busy; int conn; char *stack; } slots[SLOTS];

/* in the child, in the server's memory: raw calls only, nothing is written */
static int child(void *arg)
{
    const struct slot *s = arg;
    for (int i = 0; i < 3; i++) syscall(SYS_dup3, s->conn, i, 0);
    if (uid && (syscall(SYS_setgroups, 1, &uid) || syscall(SYS_setresgid, uid, uid, uid) || syscall(SYS_setresuid, uid, uid, uid)))
        syscall(SYS_exit, 126);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
    syscall(SYS_execve, program[0], program, environment);
    syscall(SYS_exit, 127);
    __builtin_unreachable();
}

/* the kernel clears `busy` when the child has left our memory */
static pid_t start(int conn)
{
    static unsigned next;
    while (slots[next % SLOTS].busy)
        if (++next % SLOTS == 0) sched_yield();
    struct slot *s = &slots[next++ % SLOTS];
    s->conn = conn;
    s->busy = 1;
    pid_t p = clone(child, s->stack + STACK, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, s, NULL, NULL, (void *)&s->busy);
    if (p < 0) s->busy = 0;
    return p;
}

static struct { pid_t pid; uint64_t born; } recent[RECENT];
static int nrecent;

static uint64_t ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void reap(void)
{
    struct signalfd_siginfo si[8];
    uint64_t t = ms();
    if (read(loop_signals, si, sizeof si) < 0) return;
    for (int k = 0; k < nrecent;) {
        if (!waitpid(recent[k].pid, NULL, WNOHANG)) {
            if (t - recent[k].born < RECENT_MS) { k++; continue; }
            int fd = (int)syscall(SYS_pidfd_open, recent[k].pid, 0);
            watch(loop_ep, fd, PIDFD | (unsigned)fd);
        }
        recent[k] = recent[--nrecent];
    }
}

static void *dispatch(void *arg)
{
    struct epoll_event ev[128];
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    (void)arg;
    must(!unshare(CLONE_FILES) && !syscall(SYS_close_range, HIGH, ~0U, 0), "unshare");
    for (;;) {
        int n = epoll_wait(loop_ep, ev, 128, -1);
        for (int i = 0; i < n; i++) {
            int fd = (int)(uint32_t)ev[i].data.u64, c;
            if (ev[i].data.u64 == SIGNALS) {
                reap();
            } else if (ev[i].data.u64 & PIDFD) {
                siginfo_t si;
                waitid(P_PIDFD, fd, &si, WEXITED | WNOHANG);
                close(fd);
            } else {
                int l = (int)syscall(SYS_pidfd_getfd, self, fd, 0);
                must(l >= 0, "pidfd_getfd");
                while ((c = accept4(l, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                    pid_t p;
                    while ((p = start(c)) < 0) usleep(1000);
                    close(c);
                    must(nrecent < RECENT, "too many recent children");
                    recent[nrecent].pid = p;
                    recent[nrecent++].born = ms();
                }
                close(l);
            }
        }
    }
    return NULL;
}

static void spawn(int port, int count)
{
    sigset_t chld;
    pthread_t t;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    loop_ep = epoll_create1(EPOLL_CLOEXEC);
    loop_signals = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
    watch(loop_ep, loop_signals, SIGNALS);
    for (int i = 0; i < SLOTS; i++) {
        slots[i].stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        must(slots[i].stack != MAP_FAILED, "mmap");
    }
    /* all listeners before the second thread: growing a table that two share is slow */
    for (int i = 0; i < count; i++) {
        int l = listener(port + i, SOCK_STREAM, 4096);
        watch(loop_ep, l, (unsigned)l);
    }
    must(!pthread_create(&t, NULL, dispatch, NULL), "pthread_create");
    pthread_join(t, NULL);
}

/* ----------------------------------------------------------------- built-ins */
static void echo(int port)
{
    static char buf[65536];
    struct epoll_event ev[256];
    int ep = epoll_create1(EPOLL_CLOEXEC), l = listener(port, SOCK_STREAM, 4096), c;
    watch(ep, l, (unsigned)l);
    for (;;) {
        int n = epoll_wait(ep, ev, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = (int)ev[i].data.u64;
            if (fd == l) {
                while ((c = accept4(l, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                    setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
                    watch(ep, c, (unsigned)c);
                }
                continue;
            }
            ssize_t r = read(fd, buf, sizeof buf);
            if (r <= 0 || send(fd, buf, r, MSG_NOSIGNAL) != r) close(fd);
        }
    }
}

static void udp(int port)
{
    enum { MANY = 64, SIZE = 2048 };
    static char buf[MANY][SIZE];
    static struct sockaddr_storage from[MANY];
    struct mmsghdr m[MANY];
    struct iovec io[MANY];
    int s = listener(port, SOCK_DGRAM, 0);
    for (;;) {
        for (int i = 0; i < MANY; i++) {
            io[i] = (struct iovec){buf[i], SIZE};
            m[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &io[i], .msg_iovlen = 1}};
        }
        int n = recvmmsg(s, m, MANY, MSG_WAITFORONE, NULL);
        for (int i = 0; i < n; i++) io[i].iov_len = m[i].msg_len;
        for (int done = 0, k; done < n; done += k > 0 ? k : 1) k = sendmmsg(s, m + done, n - done, 0);
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[1] : "";
    int port = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(mode, "echo")) echo(port);
    else if (!strcmp(mode, "udp")) udp(port);
    else if (!strcmp(mode, "spawn") && argc > 5) {
        uid = atoi(argv[4]);
        program = argv + 5;
        spawn(port, atoi(argv[3]));
    }
    fprintf(stderr, "skeleton: see the head of skeleton.c\n");
    return 2;
}
