/* lda/log.c - the deliver log; see log.h
 *
 *   log_line_new(), _add() ... log_line_write() --one write(2)--> file | stderr
 *                                                \--on trouble--> syslog
 *
 * Lines of many processes go to one file, opened O_APPEND: a line is one
 * write(2), so that they interleave whole. A file that cannot be opened or
 * written is complained about once in syslog, and the lines go there until
 * writing works again; nobody ever waits for the log or fails because of it.
 */
#include "lda/log.h"

#include "lda/log_line.h"

#include <grp.h>
#include <pwd.h>
#include <syslog.h>
#include <time.h>

struct Log {
    const LdaConfig *config;
    char *program;
    int fd;          /* -1: syslog */
    bool complained; /* about the file, in syslog */
    bool torn;       /* our last line lacks its end: the disk was full */
    bool captures;
    time_t second;  /* that time stands for */
    char time[256]; /* formatted; lines come by the thousand a second */
};

struct LogLine {
    Log *log;
    GString *fields;
    int priority;
};

static void
complain(Log *log, const char *what)
{
    if (!log->complained)
        syslog(LOG_WARNING, "cannot %s %s: %s; logging here instead", what, log->config->log.path,
               g_strerror(errno));
    log->complained = true;
}

/* A file made by root must take the lines of those who deliver: lodged's workers
 * after a reopen, and `deliver`, which Postfix starts as that user. */
static void
give_to_mail_user(const LdaConfig *config, int fd)
{
    const struct passwd *user = getpwnam(config->mail.user);
    const struct group *group = getgrnam(config->mail.group);

    if (user != NULL)
        (void)fchown(fd, user->pw_uid, group != NULL ? group->gr_gid : user->pw_gid);
}

static int
open_file(const LdaConfig *config)
{
    /* O_NONBLOCK: a FIFO that nobody reads fails instead of holding up the mail. */
    const int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = open(config->log.path, flags);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(config->log.path, flags | O_CREAT | O_EXCL, 0640);
    if (fd < 0 && errno == EEXIST) /* somebody else was quicker */
        return open(config->log.path, flags);
    if (fd >= 0 && geteuid() == 0)
        give_to_mail_user(config, fd);
    return fd;
}

static void
open_target(Log *log)
{
    log->complained = false;
    log->torn = false;
    log->second = -1;
    log->fd = -1;
    if (log->config->log.target == LOG_TARGET_STDERR) {
        log->fd = STDERR_FILENO;
    } else if (log->config->log.target == LOG_TARGET_FILE) {
        log->fd = open_file(log->config);
        if (log->fd < 0)
            complain(log, "open");
    }
}

static void
close_target(Log *log)
{
    if (log->fd != STDERR_FILENO)
        lodge_close(&log->fd);
}

Log *
log_open(const LdaConfig *config, const char *program)
{
    Log *log = g_new0(Log, 1);

    log->config = config;
    log->program = g_strdup(program);
    tzset(); /* now: a caged worker can no longer read the time zone */
    openlog(log->program, LOG_PID, LOG_MAIL);
    open_target(log);
    return log;
}

void
log_close(Log *log)
{
    if (log == NULL)
        return;
    if (log->captures)
        g_log_set_default_handler(g_log_default_handler, NULL);
    close_target(log);
    closelog();
    g_free(log->program);
    g_free(log);
}

void
log_reopen(Log *log)
{
    close_target(log);
    open_target(log);
}

static ssize_t
write_once(int fd, const char *bytes, size_t len)
{
    ssize_t written;

    do
        written = write(fd, bytes, len);
    while (written < 0 && errno == EINTR);
    return written;
}

static bool
write_file(Log *log, GString *line)
{
    if (log->fd < 0)
        return false;
    if (log->torn)
        g_string_prepend_c(line, '\n');
    ssize_t written = write_once(log->fd, line->str, line->len);
    if (written == (ssize_t)line->len) {
        log->torn = false;
        log->complained = false;
        return true;
    }
    if (written > 0) {
        log->torn = true;
        errno = ENOSPC;
    }
    complain(log, "write");
    return false;
}

static const char *
format_time(Log *log)
{
    struct tm local;
    time_t now = time(NULL);

    if (now == log->second)
        return log->time;
    localtime_r(&now, &local);
    log->time[strftime(log->time, sizeof log->time, log->config->log.time_format, &local)] = '\0';
    log->second = now;
    return log->time;
}

LogLine *
log_line_new(Log *log, const char *event)
{
    LogLine *line = g_new0(LogLine, 1);

    line->log = log;
    line->priority = LOG_INFO;
    line->fields = g_string_sized_new(512); /* the usual line of a delivery */
    if (log->config->log.target != LOG_TARGET_SYSLOG)
        log_line_add(line, "time", format_time(log));
    log_line_add(line, "event", event);
    return line;
}

void
log_line_add(LogLine *line, const char *field, const char *value)
{
    if (value != NULL)
        log_format_text(line->fields, line->log->config->log.format, field, value);
}

void
log_line_add_number(LogLine *line, const char *field, gint64 value)
{
    log_format_number(line->fields, line->log->config->log.format, field, value);
}

void
log_line_write(LogLine *line)
{
    log_format_end(line->fields, line->log->config->log.format);
    if (!write_file(line->log, line->fields)) {
        g_string_truncate(line->fields, line->fields->len - 1);
        syslog(line->priority, "%s", line->fields->str);
    }
    g_string_free(line->fields, TRUE);
    g_free(line);
}

static void
message_handler(const char *domain, GLogLevelFlags level, const char *text, void *data)
{
    static const struct {
        GLogLevelFlags level;
        int priority;
        const char *name;
    } levels[] = {
        {G_LOG_LEVEL_ERROR, LOG_CRIT, "error"},
        {G_LOG_LEVEL_CRITICAL, LOG_ERR, "critical"},
        {G_LOG_LEVEL_WARNING, LOG_WARNING, "warning"},
        {G_LOG_LEVEL_MESSAGE, LOG_NOTICE, "message"},
    };
    Log *log = data;

    (void)domain;
    for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
        if ((level & levels[i].level) == 0)
            continue;
        LogLine *line = log_line_new(log, "message");
        line->priority = levels[i].priority;
        log_line_add(line, "level", levels[i].name);
        log_line_add(line, "program", log->program);
        log_line_add_number(line, "pid", getpid());
        log_line_add(line, "text", text);
        log_line_write(line);
        return;
    }
}

void
log_capture_messages(Log *log)
{
    log->captures = true;
    g_log_set_default_handler(message_handler, log);
}
