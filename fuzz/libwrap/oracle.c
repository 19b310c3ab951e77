/*
 * Asks the real libwrap about one request, in this process, and writes down what it does.
 *
 * Every call that would leave the process is answered here (build.rs has renamed them): tables come from memory, commands
 * are noted and not run, and where libwrap would become another program or exit, we jump back. All that libwrap keeps
 * between two requests is set back before each. Nothing here may decide what is right: it only notes. Whatever ends this
 * process (a fault of libwrap's, or a request that takes longer than PATIENCE) is seen by the one that has started it.
 *
 * The answer is a text: one fact a line, as `what value`. An end of a line inside a value is `~`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <syslog.h>
#include <unistd.h>
#define INET6 1 /* as Debian's was built */
#include <tcpd.h>

#define MOST_FILES 8

/* Files that are open at once: a table and three files that name one another. One that names itself is at an end soon. */
#define MOST_OPEN 4

/* Seconds for one request. */
#define PATIENCE 20

int allow_severity, deny_severity;
extern int aclexec_matched;

/* What is asked, as src/oracle.rs has it. */
struct oracle_question {
    const char *daemon, *client_name, *server_name, *user;
    /* What is known without asking, as hosts_ctl(3) has it; or null. */
    const char *given_address, *given_name, *given_user;
    struct sockaddr *client, *server;
    int is_datagram, is_resident;
    /* Whether commands of `aclexec` fail, and whether only users and groups are changed. */
    int aclexec_fails, is_rehearsal;
    /* Whether a file cannot be opened a second time while it is open. */
    int has_no_rings;
    int file_count;
    struct { const char *path, *text; size_t length; int error, is_folder; } files[MOST_FILES];
};

static const struct oracle_question *question;
static char *answer;
static size_t room;
static jmp_buf away;
static int closed, is_at_netgroup;
static struct { FILE *file; const char *path; } opened[MOST_OPEN];

static void note(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(const char *what, const char *format, ...)
{
    char text[16384];
    va_list arguments;
    int written;
    va_start(arguments, format);
    written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* What is not noted would look the same as what is not done. */
    if (written < 0 || (size_t)written >= sizeof text) abort();
    for (char *p = text; *p; p++)
        if (*p == '\n') *p = '~';
    written = snprintf(answer, room, "%s %s\n", what, text);
    if (written < 0 || (size_t)written >= room) abort();
    answer += written;
    room -= (size_t)written;
}

static void note_log(int priority, const char *format, va_list arguments)
{
    char text[16000];
    vsnprintf(text, sizeof text, format, arguments);
    /* Because of hosts_access_verbose. */
    if (strncmp(text, "matched: ", 9) == 0 || strncmp(text, "option: ", 8) == 0)
        note("verbose", "%s", text);
    else
        note("log", "%d %s", priority, text);
}

void oracle___vsyslog_chk(int priority, int flag, const char *format, va_list arguments)
{ (void)flag; note_log(priority, format, arguments); }
void oracle_vsyslog(int priority, const char *format, va_list arguments)
{ note_log(priority, format, arguments); }
void oracle___syslog_chk(int priority, int flag, const char *format, ...)
{ va_list a; (void)flag; va_start(a, format); note_log(priority, format, a); va_end(a); }
void oracle_syslog(int priority, const char *format, ...)
{ va_list a; va_start(a, format); note_log(priority, format, a); va_end(a); }

FILE *oracle_fopen(const char *path, const char *mode)
{
    FILE *file;
    (void)mode;
    int room = -1;
    for (int i = 0; i < MOST_OPEN; i++) {
        if (!opened[i].file) room = i;
        else if (question->has_no_rings && strcmp(opened[i].path, path) == 0) { errno = ELOOP; return 0; }
    }
    for (int i = 0; i < question->file_count; i++) {
        if (strcmp(question->files[i].path, path) != 0) continue;
        if (room < 0) { errno = EMFILE; return 0; }
        if (question->files[i].is_folder) file = fopen("/", "r");
        else if (question->files[i].error) { errno = question->files[i].error; return 0; }
        else if (question->files[i].length == 0) file = fopen("/dev/null", "r");
        else file = fmemopen((void *)question->files[i].text, question->files[i].length, "r");
        if (!file) abort();
        opened[room].file = file;
        opened[room].path = question->files[i].path;
        return file;
    }
    errno = ENOENT;
    return 0;
}

int oracle_fclose(FILE *file)
{
    for (int i = 0; i < MOST_OPEN; i++)
        if (opened[i].file == file) opened[i].file = 0;
    return fclose(file);
}

/* A banner, as it goes to the caller. */
ssize_t oracle_write(int descriptor, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    char hex[2 * 8000 + 1] = "";
    (void)descriptor;
    for (size_t at = 0; at < length; at += 8000) {
        size_t end = length - at < 8000 ? length - at : 8000;
        for (size_t i = 0; i < end; i++) sprintf(hex + 2 * i, "%02x", bytes[at + i]);
        note("banner", "%s", hex);
    }
    return (ssize_t)length;
}

/* Asked for the folder of a banner that is missing: every folder of a story is there. */
int oracle_stat(const char *path, struct stat *status) { (void)path; (void)status; return 0; }

void shell_cmd(char *command) { note("effect", "spawn %s", command); }
pid_t oracle_fork(void) { note("effect", "aclexec"); return 4711; }
pid_t oracle_wait(int *status) { *status = question->aclexec_fails ? 1 << 8 : 0; return 4711; }
int oracle_close(int descriptor) { closed = descriptor; return 0; }
int oracle_dup(int descriptor) { (void)descriptor; return closed; }

int oracle_execl(const char *path, const char *first, ...)
{
    va_list arguments;
    const char *option, *command;
    va_start(arguments, first);
    option = va_arg(arguments, const char *);
    command = va_arg(arguments, const char *);
    va_end(arguments);
    if (strcmp(path, "/bin/sh") != 0 || strcmp(option, "-c") != 0) abort();
    note("effect", "twist %s", command);
    longjmp(away, 2);
}

void oracle__exit(int status) { (void)status; longjmp(away, 3); }
void oracle_exit(int status) { (void)status; longjmp(away, 3); }
unsigned oracle_sleep(unsigned seconds) { (void)seconds; return 0; }
int oracle_nice(int by) { note("effect", "nice %d", by); return 0; }
mode_t oracle_umask(mode_t mask) { note("effect", "umask %03o", mask); return 022; }

int oracle_setsockopt(int descriptor, int level, int name, const void *value, socklen_t length)
{
    (void)descriptor; (void)length;
    if (level == SOL_SOCKET && name == SO_KEEPALIVE)
        note("effect", "keepalive %d", *(const int *)value);
    else if (level == SOL_SOCKET && name == SO_LINGER)
        note("effect", "linger %d %d", ((const struct linger *)value)->l_onoff, ((const struct linger *)value)->l_linger);
    else
        note("effect", "setsockopt %d %d", level, name);
    return 0;
}

int oracle_setenv(const char *name, const char *value, int replace)
{
    (void)replace;
    if (!*name || strchr(name, '=')) { errno = EINVAL; return -1; }
    note("effect", "setenv %s=%s", name, value);
    return 0;
}

/* Users and groups, the same on every machine; as src/ours.rs has them. */
struct passwd *oracle_getpwnam(const char *name)
{
    static struct passwd users[] = {
        { .pw_name = "root", .pw_uid = 0, .pw_gid = 0 },
        { .pw_name = "joe", .pw_uid = 1000, .pw_gid = 100 },
        { .pw_name = "nobody", .pw_uid = 65534, .pw_gid = 65533 },
    };
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        if (strcmp(name, users[i].pw_name) == 0) return users + i;
    return 0;
}

struct group *oracle_getgrnam(const char *name)
{
    static struct group groups[] = {
        { .gr_name = "root", .gr_gid = 0 },
        { .gr_name = "users", .gr_gid = 100 },
        { .gr_name = "nogroup", .gr_gid = 65534 },
    };
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strcmp(name, groups[i].gr_name) == 0) return groups + i;
    return 0;
}

int oracle_setuid(uid_t uid) { note("identity", "user %u", uid); return 0; }
int oracle_setgid(gid_t gid) { note("identity", "group %u", gid); return 0; }
int oracle_setgroups(size_t count, const gid_t *groups) { (void)count; (void)groups; return 0; }
int oracle_initgroups(const char *user, gid_t gid) { (void)user; (void)gid; return 0; }

/* What is looked up, and the rule that needs it. */
static void note_lookup(const char *what)
{
    note("lookup", "%s at %s:%d", what, tcpd_context.file ? tcpd_context.file : "", tcpd_context.line);
}

void rfc931(struct sockaddr *theirs, struct sockaddr *ours, char *user)
{
    char what[32];
    (void)theirs; (void)ours;
    snprintf(what, sizeof what, "user %d", rfc931_timeout);
    note_lookup(what);
    snprintf(user, STRING_LENGTH, "%s", question->user);
}

static void find_hostname(struct host_info *host)
{
    int is_client = host == host->request->client;
    if (is_at_netgroup) { *host->name = 0; return; }
    note_lookup(is_client ? "client_name" : "server_name");
    snprintf(host->name, STRING_LENGTH, "%s", is_client ? question->client_name : question->server_name);
}

/*
 * Netgroups are asked by builds before 7.6.q-33. One of those does here what later ones do: says so, and neither looks a
 * name up nor matches. It asks for the domain first, which it never gets, then for the name, then for the group.
 */
int yp_get_default_domain(char **domain)
{
    *domain = 0;
    tcpd_warn("netgroup support is disabled");
    is_at_netgroup = 1;
    return 1;
}

int innetgr(const char *group, const char *host, const char *user, const char *domain)
{
    (void)group; (void)host; (void)user; (void)domain;
    is_at_netgroup = 0;
    return 0;
}

static void sink(int descriptor) { (void)descriptor; }

void oracle_ask(const struct oracle_question *asked, char *out, size_t most)
{
    /* What a jump passes over has to stay. */
    static struct request_info request;
    int how;

    alarm(PATIENCE);
    question = asked;
    answer = out;
    room = most;
    *out = 0;
    allow_severity = LOG_INFO;
    deny_severity = LOG_WARNING;
    hosts_allow_table = "/allow";
    hosts_deny_table = "/deny";
    hosts_access_verbose = 2;
    resident = asked->is_resident ? 1 : -1;
    rfc931_timeout = 10;
    aclexec_matched = 0;
    dry_run = asked->is_rehearsal;
    memset(opened, 0, sizeof opened);
    is_at_netgroup = 0;
    tcpd_context.file = 0;
    tcpd_context.line = 0;
    closed = -1;
    request_init(&request, RQ_DAEMON, asked->daemon, RQ_FILE, 0, 0);
    request.hostname = find_hostname;
    request.hostaddr = sock_hostaddr;
    request.client->sin = asked->client;
    request.server->sin = asked->server;
    if (asked->given_address) request_set(&request, RQ_CLIENT_ADDR, asked->given_address, 0);
    if (asked->given_name) request_set(&request, RQ_CLIENT_NAME, asked->given_name, 0);
    if (asked->given_user) request_set(&request, RQ_USER, asked->given_user, 0);
    if (asked->is_datagram) request.sink = sink;
    how = setjmp(away);
    if (how == 0)
        note("verdict", "%s", hosts_access(&request) ? "allow" : "deny");
    else
        note("verdict", "%s", how == 2 ? "twist" : "abort");
    note("severity", "%d %d", allow_severity, deny_severity);
    note("client", "%s", eval_client(&request));
}
