/*
 * Asks the real libwrap about one request, in this process, and writes down what it does.
 *
 * Every call that would leave the process is answered here (build.rs has renamed them): tables come from memory, commands
 * are noted and not run, and where libwrap would become another program or exit, we jump back. All that libwrap keeps
 * between two requests is set back before each.
 *
 * The answer is a text: one fact a line, as `what value`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <syslog.h>
#include <unistd.h>
#define INET6 1 /* as Debian's was built */
#include <tcpd.h>

#define MOST_FILES 8

int allow_severity, deny_severity;
extern int aclexec_matched;

/* What is asked, as src/oracle.rs has it. */
struct oracle_question {
    const char *daemon, *client_name, *server_name, *user;
    struct sockaddr *client, *server;
    int is_datagram, is_resident;
    int file_count;
    struct { const char *path, *text; size_t length; int error; } files[MOST_FILES];
};

static const struct oracle_question *question;
static char *answer;
static size_t room;
static jmp_buf away;
static int closed;

static void note(const char *what, const char *text)
{
    int written = snprintf(answer, room, "%s %s\n", what, text);
    if (written > 0 && (size_t)written < room) {
        answer += written;
        room -= (size_t)written;
    }
}

static void note_log(int priority, const char *format, va_list arguments)
{
    char text[16384], line[16500];
    int saved = errno;
    errno = saved;
    vsnprintf(text, sizeof text, format, arguments);
    for (char *p = text; *p; p++)
        if (*p == '\n') *p = '~';
    /* Because of hosts_access_verbose. */
    if (strncmp(text, "matched: ", 9) == 0 || strncmp(text, "option: ", 8) == 0) {
        note("verbose", text);
        return;
    }
    snprintf(line, sizeof line, "%d %s", priority, text);
    note("log", line);
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
    (void)mode;
    for (int i = 0; i < question->file_count; i++) {
        if (strcmp(question->files[i].path, path) != 0) continue;
        if (question->files[i].error == EISDIR) return fopen("/", "r");
        if (question->files[i].error) { errno = question->files[i].error; return 0; }
        if (question->files[i].length == 0) return fopen("/dev/null", "r");
        return fmemopen((void *)question->files[i].text, question->files[i].length, "r");
    }
    errno = ENOENT;
    return 0;
}

/* Commands succeed; their words are in the verbose lines. */
void shell_cmd(char *command) { (void)command; }
pid_t oracle_fork(void) { return 4711; }
pid_t oracle_wait(int *status) { *status = 0; return 4711; }
int oracle_close(int descriptor) { closed = descriptor; return 0; }
int oracle_dup(int descriptor) { (void)descriptor; return closed; }
int oracle_execl(const char *path, const char *first, ...) { (void)path; (void)first; longjmp(away, 2); }
void oracle__exit(int status) { (void)status; longjmp(away, 3); }
void oracle_exit(int status) { (void)status; longjmp(away, 3); }
unsigned oracle_sleep(unsigned seconds) { (void)seconds; return 0; }
int oracle_nice(int by) { (void)by; return 0; }
mode_t oracle_umask(mode_t mask) { (void)mask; return 022; }
int oracle_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{ (void)fd; (void)level; (void)name; (void)value; (void)length; return 0; }
int oracle_setenv(const char *name, const char *value, int replace)
{ (void)value; (void)replace; if (!*name || strchr(name, '=')) { errno = EINVAL; return -1; } return 0; }
int oracle_setuid(uid_t uid) { (void)uid; return 0; }
int oracle_setgid(gid_t gid) { (void)gid; return 0; }
int oracle_setgroups(size_t count, const gid_t *groups) { (void)count; (void)groups; return 0; }
int oracle_initgroups(const char *user, gid_t gid) { (void)user; (void)gid; return 0; }

void rfc931(struct sockaddr *theirs, struct sockaddr *ours, char *user)
{
    (void)theirs; (void)ours;
    note("lookup", "user");
    snprintf(user, STRING_LENGTH, "%s", question->user);
}

static void find_hostname(struct host_info *host)
{
    int is_client = host == host->request->client;
    note("lookup", is_client ? "client_name" : "server_name");
    snprintf(host->name, STRING_LENGTH, "%s", is_client ? question->client_name : question->server_name);
}

/* Asked for netgroups, which no story has. */
int yp_get_default_domain(char **domain) { *domain = 0; return 1; }

static void sink(int descriptor) { (void)descriptor; }

void oracle_ask(const struct oracle_question *asked, char *out, size_t most)
{
    /* What a jump passes over has to stay. */
    static struct request_info request;
    static char line[600];
    int how;

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
    dry_run = 0;
    tcpd_context.file = 0;
    tcpd_context.line = 0;
    closed = -1;
    request_init(&request, RQ_DAEMON, asked->daemon, RQ_FILE, 0, 0);
    request.hostname = find_hostname;
    request.hostaddr = sock_hostaddr;
    request.client->sin = asked->client;
    request.server->sin = asked->server;
    if (asked->is_datagram) request.sink = sink;
    how = setjmp(away);
    if (how == 0)
        note("verdict", hosts_access(&request) ? "allow" : "deny");
    else
        note("verdict", how == 2 ? "twist" : "abort");
    snprintf(line, sizeof line, "%d %d", allow_severity, deny_severity);
    note("severity", line);
    snprintf(line, sizeof line, "%s %s", eval_client(&request), eval_hostaddr(request.client));
    note("client", line);
}
