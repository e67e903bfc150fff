/* tests/lda/smtp_fixture.h - an SMTP server of one connection, for the tests of what is sent
 *
 * A thread behind a loopback port. Every command has a good reply unless a row names
 * another one: "" hangs up instead, "-" says nothing at all. What the client said is kept.
 */
#ifndef LODGE_TESTS_LDA_SMTP_FIXTURE_H
#define LODGE_TESTS_LDA_SMTP_FIXTURE_H

#include "lodge.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

typedef struct {
    const char *command; /* its beginning; "greeting", "." for the end of the message */
    unsigned skip;       /* that many get the good reply first */
    const char *reply;
} SmtpRow;

typedef struct {
    const SmtpRow *rows;      /* ends with a NULL command; NULL: all is good */
    const char *capabilities; /* lines of EHLO "DSN SIZE"; NULL: these, SMTPUTF8 and 8BITMIME */
    int listener;
    unsigned port;
    unsigned seen[8]; /* of each row */
    GString *said;
    GThread *thread;
} SmtpServer;

static inline const char *
smtp_reply(SmtpServer *server, const char *line)
{
    static const char *const good[][2] = {
        {"greeting", "220 test ESMTP\r\n"}, {"MAIL", "250 2.1.0 ok\r\n"},
        {"RCPT", "250 2.1.5 ok\r\n"},       {"DATA", "354 go on\r\n"},
        {".", "250 2.0.0 queued as X\r\n"}, {"QUIT", "221 bye\r\n"},
        {"AUTH", "235 2.7.0 welcome\r\n"},
    };

    for (size_t i = 0; server->rows != NULL && server->rows[i].command != NULL; i++) {
        if (g_str_has_prefix(line, server->rows[i].command) &&
            server->seen[i]++ >= server->rows[i].skip)
            return server->rows[i].reply;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        if (g_str_has_prefix(line, good[i][0]))
            return good[i][1];
    }
    return "500 what?\r\n";
}

static inline char *
smtp_ehlo(const SmtpServer *server)
{
    const char *text =
        server->capabilities != NULL ? server->capabilities : "DSN SIZE SMTPUTF8 8BITMIME";
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    GString *reply = g_string_new(NULL);

    for (size_t i = 0; words[i] != NULL; i++)
        g_string_append_printf(reply, "250-%s\r\n", words[i]);
    g_strdelimit(reply->str, "_", ' ');
    g_string_append(reply, "250 HELP\r\n");
    g_string_prepend(reply, "250-test\r\n");
    return g_string_free(reply, FALSE);
}

/* Says the reply to line; false: it was to hang up. */
static inline bool
smtp_answer(SmtpServer *server, int fd, const char *line)
{
    g_autofree char *ehlo = smtp_ehlo(server);
    const char *reply = smtp_reply(server, line);

    if (g_str_has_prefix(line, "EHLO") && g_str_has_prefix(reply, "500 what"))
        reply = ehlo;
    if (strcmp(reply, "-") == 0) { /* until the client gives up */
        struct pollfd gone = {.fd = fd, .events = POLLIN};

        (void)poll(&gone, 1, -1);
        return false;
    }
    return *reply != '\0' && send(fd, reply, strlen(reply), MSG_NOSIGNAL) == (ssize_t)strlen(reply);
}

static inline void
smtp_serve(SmtpServer *server, int fd)
{
    FILE *in = fdopen(dup(fd), "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    bool in_data = false, on = smtp_answer(server, fd, "greeting");

    while (on && (len = getline(&line, &size, in)) > 0) {
        g_string_append_len(server->said, line, len);
        if (in_data && strcmp(line, ".\r\n") != 0)
            continue;
        on = smtp_answer(server, fd, line);
        in_data = !in_data && g_str_has_prefix(line, "DATA");
    }
    free(line);
    (void)fclose(in);
}

static inline void *
smtp_main(void *data)
{
    SmtpServer *server = data;
    int fd = accept(server->listener, NULL, NULL);

    if (fd >= 0) {
        smtp_serve(server, fd);
        (void)close(fd);
    }
    return NULL;
}

static inline void
smtp_start(SmtpServer *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert(bind(server->listener, (struct sockaddr *)&address, len) == 0);
    g_assert(listen(server->listener, 1) == 0);
    g_assert(getsockname(server->listener, (struct sockaddr *)&address, &len) == 0);
    server->port = ntohs(address.sin_port);
    server->said = g_string_new(NULL);
    server->thread = g_thread_new("smtp", smtp_main, server);
}

/* What the client said, free with g_free(). */
static inline char *
smtp_stop(SmtpServer *server)
{
    (void)shutdown(server->listener, SHUT_RDWR); /* if nobody came */
    (void)g_thread_join(server->thread);
    (void)close(server->listener);
    return g_string_free(server->said, FALSE);
}

#endif
