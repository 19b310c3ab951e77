/* Load generator. One thread, loopback only (it refuses other addresses).
 *
 *   load conn [-c N | -r RATE] [-n COUNT] PORT   connection, request, answer, end of file
 *        -c N     closed loop: N in flight (16)
 *        -r RATE  open loop: a connection is due every 1/RATE s whatever became of the ones
 *                 before, and its latency counts from the moment it was due
 *   load echo [-c N] [-z BYTES] PORT             N connections, one message each on its way
 *   load udp  [-c N] [-z BYTES] PORT             N datagrams on their way
 *   load bulk [-c N] [-b PORT] PORT              N connections through a redirect to the second port, where the
 *        generator itself is the target and sends as fast as it can; an answer is a MiB that came
 *   load hold [-c N] PORT                        N connections that read their greeting and
 *        stay; prints a line when all are there, lets go when standard input ends
 *
 * For all: -a ADDR (127.0.0.1), -d SECS (1), -T SECS until an answer is late (2).
 * For conn: -s TEXT to send (%N becomes the number of the connection), -H half-close after
 * it, -e TEXT expected back ("same": what was sent; "": nothing, as who is refused gets);
 * without -e any one line will do.
 *
 * Every answer is compared with what it must be. One line of JSON; exit 0 whatever it says. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAXCONN = 16384, KEEP = 256, BATCH = 64, MTU = 1400 };
static const size_t MAXLAT = 16 << 20;

static struct sockaddr_storage to;
static socklen_t tolen;
static int inflight = 16, halfclose, zsize = 64;
static long count;
static double rate, secs = 1, late = 2;
static const char *request, *expect;

static struct { long started, ok, refused, reset, late, wrong, empty, other, lost; } R;
static uint32_t *lat; /* of every good answer, in ns */
static size_t nlat;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void good(int64_t since)
{
    int64_t ns = now() - since;
    R.ok++;
    if (nlat < MAXLAT) lat[nlat++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static void failed(int err)
{
    if (err == ECONNREFUSED) R.refused++;
    else if (err == ECONNRESET || err == EPIPE) R.reset++;
    else if (err == ETIMEDOUT) R.late++;
    else R.other++;
}

/* ------------------------------------------------------------ conn and hold */
struct conn {
    int fd, connected, got;
    long number;
    int64_t since;
    char rx[KEEP]; /* the first of the `got` bytes that came */
};
enum { WAITING, OVER, GREETED };
static int ep;

static int compose(const struct conn *c, char *out)
{
    int n = 0;
    for (const char *p = request; *p && n < KEEP - 24; p++)
        if (p[0] == '%' && p[1] == 'N') n += sprintf(out + n, "%ld", c->number), p++;
        else out[n++] = *p;
    return n;
}

static int begin(struct conn *c, int64_t due)
{
    *c = (struct conn){.number = R.started++, .since = due ? due : now()};
    c->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd >= 0 && (!connect(c->fd, (void *)&to, tolen) || errno == EINPROGRESS)) {
        struct epoll_event e = {EPOLLIN | EPOLLRDHUP | EPOLLET | (request ? EPOLLOUT : 0), {.ptr = c}};
        if (!epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e)) return 1;
    }
    failed(errno);
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    return 0;
}

static int end(struct conn *c, int err)
{
    char must[KEEP];
    int n;
    close(c->fd);
    c->fd = -1;
    if (err) failed(err);
    else if (!c->got && !(expect && !*expect)) R.empty++;
    else {
        int fits = c->got <= KEEP;
        if (!expect) fits = fits && memchr(c->rx, '\n', c->got) == c->rx + c->got - 1;
        else if (!strcmp(expect, "same")) n = compose(c, must), fits = n == c->got && !memcmp(must, c->rx, n);
        else fits = c->got == (int)strlen(expect) && !memcmp(expect, c->rx, c->got);
        if (fits) good(c->since);
        else R.wrong++;
    }
    return OVER;
}

/* something happened on a connection (edge-triggered) */
static int step(struct conn *c, uint32_t ev, int holding)
{
    char buf[4096];
    if (!c->connected) {
        if (ev & (EPOLLERR | EPOLLHUP) && !(ev & EPOLLIN)) {
            int e = 0;
            socklen_t l = sizeof e;
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
            return end(c, e ? e : ECONNRESET);
        }
        c->connected = 1;
        if (request) {
            int n = compose(c, buf);
            if (send(c->fd, buf, n, MSG_NOSIGNAL) != n) return end(c, errno);
            if (halfclose) shutdown(c->fd, SHUT_WR);
        }
    }
    for (;;) {
        ssize_t r = recv(c->fd, buf, sizeof buf, 0);
        if (r < 0) return errno == EAGAIN ? WAITING : end(c, errno);
        if (r == 0) return end(c, holding ? ECONNRESET : 0);
        if (c->got < KEEP) memcpy(c->rx + c->got, buf, r < KEEP - c->got ? r : KEEP - c->got);
        c->got += r;
        if (holding && c->rx[c->got < KEEP ? c->got - 1 : KEEP - 1] == '\n') return GREETED;
        if (r < (ssize_t)sizeof buf && !(ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return WAITING;
    }
}

static double run_conn(void)
{
    int n = rate ? 4096 : inflight, nfree = n, active = 0;
    struct conn *cs = calloc(n, sizeof *cs), **spare = calloc(n, sizeof *spare);
    struct epoll_event ev[256];
    for (int i = 0; i < n; i++) cs[i].fd = -1, spare[i] = &cs[n - 1 - i];
    int64_t t0 = now(), checked = t0, last = t0;
    long due = 0, total = rate ? (long)(rate * secs) : count;
    for (;;) {
        int64_t t = now(), wait = 50000000;
        int more = rate ? due < total : t - t0 < secs * 1e9 && (!total || R.started < total);
        for (int refused = 0; more && nfree && !refused;) {
            int64_t when = rate ? t0 + (int64_t)(due * 1e9 / rate) : 0;
            if (when > now()) break;
            due++;
            if (begin(spare[--nfree], when)) active++;
            else nfree++, refused = 1;
            more = rate ? due < total : !total || R.started < total;
        }
        if (!active && !more) break;
        if (rate && more && nfree) wait = t0 + (int64_t)(due * 1e9 / rate) - now();
        else if (!active) wait = 1000000; /* refused: try again, not at full speed */
        struct timespec ts = {0, wait < 0 ? 0 : wait > 50000000 ? 50000000 : wait};
        int k = epoll_pwait2(ep, ev, 256, &ts, NULL);
        for (int i = 0; i < k; i++) {
            struct conn *c = ev[i].data.ptr;
            if (c->fd >= 0 && step(c, ev[i].events, 0) == OVER) active--, spare[nfree++] = c;
        }
        t = now();
        if (k > 0) last = t;
        if (t - checked > 50000000) {
            checked = t;
            for (int i = 0; i < n; i++)
                if (cs[i].fd >= 0 && t - cs[i].since > late * 1e9) end(&cs[i], ETIMEDOUT), active--, spare[nfree++] = &cs[i];
        }
    }
    return (last - t0) / 1e9;
}

static double run_hold(void)
{
    struct conn *cs = calloc(inflight, sizeof *cs);
    struct epoll_event ev[256];
    int begun = 0, pending = 0, held = 0;
    int64_t t0 = now();
    while (begun < inflight || pending) {
        while (begun < inflight && pending < 32) pending += begin(&cs[begun++], 0);
        int k = epoll_wait(ep, ev, 256, 50);
        for (int i = 0; i < k; i++) {
            struct conn *c = ev[i].data.ptr;
            int is = c->fd < 0 ? WAITING : step(c, ev[i].events, 1);
            if (is == WAITING) continue;
            pending--;
            if (is == GREETED) held++, good(c->since), epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
        }
        for (int i = 0; k == 0 && i < begun; i++)
            if (cs[i].fd >= 0 && !cs[i].got && now() - cs[i].since > late * 1e9) end(&cs[i], ETIMEDOUT), pending--;
    }
    double el = (now() - t0) / 1e9;
    printf("{\"held\":%d,\"secs\":%.3f}\n", held, el);
    fflush(stdout);
    while (read(0, ev, sizeof ev) > 0)
        ;
    return el;
}

/* ------------------------------------------------------------- echo and udp */
static double run_echo(void)
{
    struct { int fd, got; int64_t since; } *c = calloc(inflight, sizeof *c);
    struct epoll_event ev[256];
    char *out = malloc(zsize), *in = malloc(zsize);
    int live = 0;
    for (int i = 0; i < zsize; i++) out[i] = (char)(i * 7 + 3);
    int64_t t0 = now(), last = t0;
    for (int i = 0; i < inflight; i++) {
        struct epoll_event e = {EPOLLIN, {.u32 = (uint32_t)i}};
        c[i].fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        R.started++;
        if (connect(c[i].fd, (void *)&to, tolen)) { failed(errno); continue; }
        setsockopt(c[i].fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &e);
        c[i].since = now();
        if (send(c[i].fd, out, zsize, MSG_NOSIGNAL) == zsize) live++;
        else failed(errno);
    }
    while (live && now() - t0 < secs * 1e9) {
        int k = epoll_wait(ep, ev, 256, 50);
        if (k == 0 && now() - last > late * 1e9) { R.late += live; break; }
        for (int i = 0; i < k; i++) {
            int j = (int)ev[i].data.u32;
            ssize_t r = recv(c[j].fd, in, zsize - c[j].got, MSG_DONTWAIT);
            if (r < 0 && errno == EAGAIN) continue;
            if (r <= 0) { failed(ECONNRESET); close(c[j].fd); live--; continue; }
            if (memcmp(in, out + c[j].got, r)) R.wrong++;
            if ((c[j].got += r) < zsize) continue;
            good(c[j].since);
            c[j].got = 0;
            last = c[j].since = now();
            if (send(c[j].fd, out, zsize, MSG_NOSIGNAL) != zsize) failed(errno);
        }
    }
    return (now() - t0) / 1e9;
}

static double run_udp(void)
{
    static char ob[BATCH][MTU], ib[BATCH][MTU + 1];
    struct mmsghdr om[BATCH], im[BATCH];
    struct iovec ov[BATCH], iv[BATCH];
    struct { uint64_t number; int64_t since; } tag;
    int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), out = 0;
    if (zsize < (int)sizeof tag) zsize = sizeof tag;
    if (zsize > MTU) zsize = MTU;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4 << 20}, sizeof(int));
    if (connect(fd, (void *)&to, tolen)) failed(errno);
    for (int i = 0; i < BATCH; i++) {
        memset(ob[i], 'u', MTU);
        ov[i] = (struct iovec){ob[i], zsize};
        iv[i] = (struct iovec){ib[i], sizeof ib[i]};
        om[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &ov[i], .msg_iovlen = 1}};
        im[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iv[i], .msg_iovlen = 1}};
    }
    int64_t t0 = now(), last = t0, t;
    uint64_t next = 0;
    while ((t = now()) - t0 < secs * 1e9 || (out && t - last < 50000000)) {
        while (out < inflight && t - t0 < secs * 1e9) {
            int n = inflight - out < BATCH ? inflight - out : BATCH;
            for (int i = 0; i < n; i++) {
                tag.number = next + i, tag.since = t;
                memcpy(ob[i], &tag, sizeof tag);
            }
            n = sendmmsg(fd, om, n, 0);
            if (n < 0) { failed(errno); usleep(1000); break; }
            next += n, R.started += n, out += n;
        }
        if (poll(&(struct pollfd){fd, POLLIN, 0}, 1, 20) == 0) {
            if (now() - last > 100000000) R.lost += out, out = 0, last = now();
            continue;
        }
        int n = recvmmsg(fd, im, BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && errno != EAGAIN) failed(errno);
        if (n > 0) last = now();
        for (int i = 0; i < n; i++) {
            memcpy(&tag, ib[i], sizeof tag);
            if ((int)im[i].msg_len != zsize || tag.number >= next || memcmp(ib[i] + sizeof tag, ob[0] + sizeof tag, zsize - sizeof tag)) {
                R.wrong++;
                continue;
            }
            if (out) out--;
            else R.lost--; /* given up too early: late, not lost */
            good(tag.since);
        }
    }
    R.lost += out;
    return (last - t0) / 1e9;
}

/* --------------------------------------------------------------------- bulk */
enum { PIECE = 256 << 10, PERIOD = 65521, LISTENS = 0, READS = 1, WRITES = 2 };
static int backport;
static char stream[PERIOD + PIECE]; /* what is sent, again and again; the period is a prime */

/* one connection, as its reader or its writer has it */
struct end { int fd, role, begun; uint64_t at; };

static int listener(void)
{
    struct sockaddr_storage here = to;
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (to.ss_family == AF_INET) ((struct sockaddr_in *)&here)->sin_port = htons(backport);
    else ((struct sockaddr_in6 *)&here)->sin6_port = htons(backport);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (void *)&here, tolen) || listen(fd, 4096)) perror("load: the target"), exit(1);
    return fd;
}

static void watch(struct end *e, uint32_t what)
{
    struct epoll_event ev = {what, {.ptr = e}};
    epoll_ctl(ep, EPOLL_CTL_ADD, e->fd, &ev);
}

static double run_bulk(void)
{
    static char in[PIECE];
    struct end *ends = calloc(2 * inflight + 1, sizeof *ends), *writer = ends + inflight + 1;
    struct epoll_event ev[256];
    uint64_t total = 0;
    for (int i = 0; i < (int)sizeof stream; i++) stream[i] = (char)(i % PERIOD * 7 + i % PERIOD / 251);
    ends[0] = (struct end){.fd = listener(), .role = LISTENS};
    watch(&ends[0], EPOLLIN);
    for (struct end *e = ends + 1; e <= ends + inflight; e++) {
        *e = (struct end){.fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .role = READS};
        R.started++;
        if (connect(e->fd, (void *)&to, tolen) && errno != EINPROGRESS) failed(errno);
        else watch(e, EPOLLIN);
    }
    int64_t t0 = now(), t;
    while ((t = now()) - t0 < secs * 1e9) {
        int k = epoll_wait(ep, ev, 256, 50);
        for (int i = 0; i < k; i++) {
            struct end *e = ev[i].data.ptr;
            if (e->role == LISTENS) {
                int fd;
                while (writer < ends + 2 * inflight + 1 && (fd = accept4(e->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    *writer = (struct end){.fd = fd, .role = WRITES};
                    watch(writer++, EPOLLOUT);
                }
            } else if (e->role == WRITES) {
                ssize_t n = send(e->fd, stream + e->at % PERIOD, PIECE, MSG_NOSIGNAL);
                if (n > 0) e->at += n;
                else if (n < 0 && errno != EAGAIN) failed(errno), close(e->fd);
            } else {
                ssize_t n = recv(e->fd, in, sizeof in, 0);
                if (n < 0 && errno == EAGAIN) continue;
                if (n <= 0) { failed(n ? errno : ECONNRESET); close(e->fd); continue; }
                const char *must = stream + e->at % PERIOD;
                if (in[0] != must[0] || in[n / 2] != must[n / 2] || in[n - 1] != must[n - 1]) R.wrong++;
                e->at += n, e->begun = 1, total += n;
            }
        }
    }
    for (struct end *e = ends + 1; e <= ends + inflight; e++) R.late += !e->begun;
    R.ok = (long)(total >> 20);
    return (t - t0) / 1e9;
}

/* --------------------------------------------------------------------- main */
static int up(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile(double q) { return nlat ? lat[(size_t)(q * (double)(nlat - 1))] / 1e3 : 0; }

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "", *addr = "127.0.0.1";
    int o;
    argc--, argv++;
    while ((o = getopt(argc, argv, "a:b:c:d:e:Hn:r:s:T:z:")) != -1) switch (o) {
        case 'a': addr = optarg; break;
        case 'b': backport = atoi(optarg); break;
        case 'c': inflight = atoi(optarg); break;
        case 'd': secs = atof(optarg); break;
        case 'e': expect = optarg; break;
        case 'H': halfclose = 1; break;
        case 'n': count = atol(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 's': request = optarg; break;
        case 'T': late = atof(optarg); break;
        case 'z': zsize = atoi(optarg); break;
        default: return 2;
        }
    double (*run)(void) = !strcmp(mode, "conn") ? run_conn : !strcmp(mode, "hold") ? run_hold
                        : !strcmp(mode, "bulk") ? run_bulk : !strcmp(mode, "echo") ? run_echo : !strcmp(mode, "udp") ? run_udp : NULL;
    struct sockaddr_in *v4 = (void *)&to;
    struct sockaddr_in6 *v6 = (void *)&to;
    if (!run || optind != argc - 1 || inflight < 1 || inflight > MAXCONN || zsize < 1) {
        fprintf(stderr, "load: see the head of load.c\n");
        return 2;
    }
    if (inet_pton(AF_INET, addr, &v4->sin_addr) == 1 && ntohl(v4->sin_addr.s_addr) >> 24 == 127)
        v4->sin_family = AF_INET, v4->sin_port = htons(atoi(argv[optind])), tolen = sizeof *v4;
    else if (inet_pton(AF_INET6, addr, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr))
        v6->sin6_family = AF_INET6, v6->sin6_port = htons(atoi(argv[optind])), tolen = sizeof *v6;
    else {
        fprintf(stderr, "load: loopback addresses only\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    ep = epoll_create1(EPOLL_CLOEXEC);
    lat = mmap(NULL, MAXLAT * sizeof *lat, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (lat == MAP_FAILED) return perror("load: mmap"), 1;

    double took = run();
    qsort(lat, nlat, sizeof *lat, up);
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("{\"secs\":%.4f,\"started\":%ld,\"ok\":%ld,\"rate\":%.1f,\"refused\":%ld,\"reset\":%ld,\"late\":%ld,"
           "\"wrong\":%ld,\"empty\":%ld,\"other\":%ld,\"lost\":%ld,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"client_s\":%.4f}\n",
           took, R.started, R.ok, took > 0 ? R.ok / took : 0, R.refused, R.reset, R.late, R.wrong, R.empty, R.other, R.lost,
           quantile(.5), quantile(.99), quantile(1),
           u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    return 0;
}
