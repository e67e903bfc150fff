/* tests/lmtp/test_transcripts.c - plays tests/transcripts/ against a session
 *
 * See the README there. The session runs in a thread, with the fake of
 * fake_lda.h behind it. The pieces in which the input arrives are exact: the
 * socket is of type SEQPACKET, where one send is one receive, except for the
 * pipelined run, which is one write on a stream.
 */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/time.h>

#include "lmtp/session.h"
#include "tests/lmtp/fake_lda.h"

/* Above this byte by byte takes too long; pieces of a prime number then. */
enum { BYTEWISE_MAX = 65536, LARGE_PIECE = 997, REPLY_WAIT_S = 20 };

typedef enum { PIPELINED, LINE_AT_A_TIME, BYTE_AT_A_TIME, WAYS } Way;

static const char *const way_names[] = {"pipelined", "line by line", "byte by byte"};

typedef struct {
    char mark;
    GBytes *text; /* escapes undone; of C: with CRLF, of M: with LF */
} Line;

typedef struct {
    char *name;
    GPtrArray *lines; /* of Line */
} Transcript;

typedef struct {
    const Transcript *transcript;
    Way way;
} Run;

/* ---- reading a transcript -------------------------------------------------- */

static void
line_free(Line *line)
{
    g_bytes_unref(line->text);
    g_free(line);
}

static void
transcript_free(Transcript *transcript)
{
    g_free(transcript->name);
    g_ptr_array_unref(transcript->lines);
    g_free(transcript);
}

/* Undoes one escape at text, which points behind the backslash. */
static const char *
unescape(const char *text, GString *out)
{
    static const char names[] = "rnt0\\";
    static const char values[] = "\r\n\t\0\\";
    const char *found = *text != '\0' ? strchr(names, *text) : NULL;

    if (*text == 'x' && g_ascii_isxdigit(text[1]) && g_ascii_isxdigit(text[2])) {
        g_string_append_c(
            out, (char)(g_ascii_xdigit_value(text[1]) * 16 + g_ascii_xdigit_value(text[2])));
        return text + 3;
    }
    if (found == NULL)
        g_error("bad escape in a transcript: \\%s", text);
    g_string_append_c(out, values[found - names]);
    return text + 1;
}

/* Writes "TEXT*N}}" at text, N times TEXT. */
static const char *
repeat(const char *text, GString *out)
{
    const char *end = strstr(text, "}}");
    const char *star = end != NULL ? g_strrstr_len(text, end - text, "*") : NULL;
    g_autoptr(GString) piece = g_string_new(NULL);

    if (star == NULL)
        g_error("bad repetition in a transcript: {{%s", text);
    for (const char *p = text; p < star;) {
        if (*p == '\\')
            p = unescape(p + 1, piece);
        else
            g_string_append_c(piece, *p++);
    }
    for (guint64 i = g_ascii_strtoull(star + 1, NULL, 10); i > 0; i--)
        g_string_append_len(out, piece->str, (gssize)piece->len);
    return end + 2;
}

static Line *
read_line(const char *text)
{
    GString *out = g_string_new(NULL);
    Line *line = g_new0(Line, 1);

    if (text[0] == '\0' || strchr("#OLCcSDMmR", text[0]) == NULL ||
        (text[0] != '#' && text[1] != ':'))
        g_error("not a line of a transcript: %s", text);
    line->mark = text[0];
    if (line->mark == 'L')
        g_string_append(out, "LHLO ");
    for (const char *p = text + MIN(strlen(text), 3); *p != '\0';) {
        if (line->mark == '#')
            break;
        if (*p == '\\')
            p = unescape(p + 1, out);
        else if (g_str_has_prefix(p, "{{"))
            p = repeat(p + 2, out);
        else
            g_string_append_c(out, *p++);
    }
    if (line->mark == 'C' || line->mark == 'L')
        g_string_append(out, "\r\n");
    if (line->mark == 'M')
        g_string_append_c(out, '\n');
    line->text = g_string_free_to_bytes(out);
    return line;
}

static Transcript *
transcript_read(const char *path)
{
    Transcript *transcript = g_new0(Transcript, 1);
    g_autofree char *file = NULL;

    if (!g_file_get_contents(path, &file, NULL, NULL))
        g_error("cannot read %s", path);
    transcript->name = g_path_get_basename(path);
    *strrchr(transcript->name, '.') = '\0';
    transcript->lines = g_ptr_array_new_with_free_func((GDestroyNotify)line_free);

    g_auto(GStrv) texts = g_strsplit(g_strchomp(file), "\n", -1);

    for (char **text = texts; *text != NULL; text++) {
        if (**text != '\0')
            g_ptr_array_add(transcript->lines, read_line(*text));
    }
    return transcript;
}

/* ---- playing it ------------------------------------------------------------ */

typedef struct {
    Lda *lda;
    LdaConfig config;
    LmtpConnection connection;
    int client;
    GString *received; /* from the server, not yet compared */
} Play;

static gpointer
serve(gpointer data)
{
    Play *play = data;

    lmtp_session_run(play->lda, &play->config, &play->connection);
    lodge_close(&play->connection.fd);
    return NULL;
}

static void
set_option(Play *play, const char *option)
{
    guint64 number = g_ascii_strtoull(strchr(option, '=') + 1, NULL, 10);

    if (g_str_has_prefix(option, "size="))
        play->config.mail.message_size_limit = number;
    else if (g_str_has_prefix(option, "recipients="))
        play->config.lmtp.max_recipients = number;
    else if (g_str_has_prefix(option, "errors="))
        play->config.lmtp.max_errors = number;
    else if (strcmp(option, "trusted=no") == 0)
        play->connection.trusted = false;
    else
        g_error("unknown option in a transcript: %s", option);
}

static void
begin(Play *play, const Run *run)
{
    int sockets[2];
    struct timeval patience = {.tv_sec = REPLY_WAIT_S};

    *play = (Play){
        .config = {.mail = {.hostname = (char *)"mx.example.org",
                            .spool_memory = 65536,
                            .spool_dir = (char *)g_get_tmp_dir()},
                   .lmtp = {.max_recipients = 1000,
                            .max_errors = 10,
                            .command_timeout = REPLY_WAIT_S,
                            .data_timeout = REPLY_WAIT_S,
                            .transaction_timeout = REPLY_WAIT_S}},
        .connection = {.stop_fd = -1, .peer = "unix socket", .trusted = true},
        .received = g_string_new(NULL),
    };
    assert_int_equal(
        socketpair(AF_UNIX, run->way == PIPELINED ? SOCK_STREAM : SOCK_SEQPACKET, 0, sockets), 0);
    play->client = sockets[0];
    play->connection.fd = sockets[1];
    assert_int_equal(setsockopt(play->client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience),
                     0);
    play->lda = lda_new(&play->config, NULL);
    for (guint i = 0; i < run->transcript->lines->len; i++) {
        const Line *line = g_ptr_array_index(run->transcript->lines, i);

        if (line->mark == 'O')
            set_option(play, g_bytes_get_data(line->text, NULL));
    }
}

/* A client that was hung up on may not get everything out: that is no failure here. */
static void
send_pieces(const Play *play, const uint8_t *bytes, size_t len, size_t piece)
{
    for (size_t done = 0; done < len; done += MIN(piece, len - done)) {
        if (send(play->client, bytes + done, MIN(piece, len - done), MSG_NOSIGNAL) < 0)
            return;
    }
}

static bool
receive_some(Play *play)
{
    char bytes[65536];
    ssize_t got = recv(play->client, bytes, sizeof bytes, 0);

    if (got > 0)
        g_string_append_len(play->received, bytes, got);
    return got > 0;
}

static char *
next_reply(Play *play, const char *expected)
{
    const char *end;

    while ((end = strstr(play->received->str, "\r\n")) == NULL) {
        if (!receive_some(play))
            fail_msg("no reply where \"%s\" was expected; got \"%s\"", expected,
                     play->received->str);
    }

    char *reply = g_strndup(play->received->str, (gsize)(end - play->received->str));

    g_string_erase(play->received, 0, end + 2 - play->received->str);
    return reply;
}

static void
expect_reply(Play *play, const char *pattern)
{
    g_autofree char *reply = next_reply(play, pattern);

    if (!g_pattern_match_simple(pattern, reply))
        fail_msg("expected \"%s\", got \"%s\"", pattern, reply);
}

/* Many lines, which transcripts about something else do not care for. */
static void
expect_lhlo_reply(Play *play)
{
    bool last = false;

    while (!last) {
        g_autofree char *reply = next_reply(play, "250 to LHLO");

        last = g_str_has_prefix(reply, "250 ");
        if (!last && !g_str_has_prefix(reply, "250-"))
            fail_msg("expected a reply to LHLO, got \"%s\"", reply);
    }
}

static void
expect_no_more(Play *play)
{
    while (receive_some(play))
        ;
    if (play->received->len > 0)
        fail_msg("one reply too many: \"%s\"", play->received->str);
}

static bool
is_input(const Line *line)
{
    return strchr("CcL", line->mark) != NULL;
}

static const Line *
line_at(const Transcript *transcript, guint index)
{
    return g_ptr_array_index(transcript->lines, index);
}

static void
send_all(const Play *play, const Transcript *transcript, size_t piece)
{
    g_autoptr(GByteArray) input = g_byte_array_new();

    for (guint i = 0; i < transcript->lines->len; i++) {
        const Line *line = line_at(transcript, i);
        gsize len;
        const uint8_t *bytes = g_bytes_get_data(line->text, &len);

        if (is_input(line))
            g_byte_array_append(input, bytes, (guint)len);
    }
    if (piece == 1 && input->len > BYTEWISE_MAX)
        piece = LARGE_PIECE;
    send_pieces(play, input->data, input->len, piece);
    (void)shutdown(play->client, SHUT_WR);
}

static void
converse(Play *play, const Run *run)
{
    const Transcript *transcript = run->transcript;
    bool greeted = false;

    if (run->way != LINE_AT_A_TIME)
        send_all(play, transcript, run->way == PIPELINED ? G_MAXINT : 1);
    for (guint i = 0; i < transcript->lines->len; i++) {
        const Line *line = line_at(transcript, i);
        gsize len;
        const char *text = g_bytes_get_data(line->text, &len);
        g_autofree char *pattern = g_strndup(text, len);

        if (!greeted && (is_input(line) || line->mark == 'S')) {
            if (line->mark != 'S' || !g_str_has_prefix(pattern, "220 "))
                expect_reply(play, "220 mx.example.org *");
            greeted = true;
        }
        if (line->mark == 'S')
            expect_reply(play, pattern);
        if (is_input(line) && run->way == LINE_AT_A_TIME)
            send_pieces(play, (const uint8_t *)text, len, LARGE_PIECE * 64);
        if (line->mark == 'L')
            expect_lhlo_reply(play);
    }
    (void)shutdown(play->client, SHUT_WR);
    expect_no_more(play);
}

/* ---- comparing what was delivered ------------------------------------------ */

static void
expect_content(const Play *play, guint delivery, const GByteArray *expected, bool given)
{
    gsize len;
    const uint8_t *bytes;

    if (!given)
        return;
    assert_true(delivery < play->lda->contents->len);
    bytes = g_bytes_get_data(g_ptr_array_index(play->lda->contents, delivery), &len);
    if (len != expected->len || memcmp(bytes, expected->data, len) != 0) {
        g_autofree char *got = g_strndup((const char *)bytes, MIN(len, 500));
        g_autofree char *shown = g_strescape(got, NULL);

        fail_msg("message %u differs: %zu octets for %u, \"%s\"", delivery, (size_t)len,
                 expected->len, shown);
    }
}

static void
expect_deliveries(const Play *play, const Transcript *transcript)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    guint deliveries = 0, refusals = 0;
    bool has_content = false;

    for (guint i = 0; i < transcript->lines->len; i++) {
        const Line *line = line_at(transcript, i);
        gsize len;
        const char *text = g_bytes_get_data(line->text, &len);
        g_autofree char *pattern = g_strndup(text, len);

        if (line->mark == 'D') {
            if (deliveries > 0)
                expect_content(play, deliveries - 1, content, has_content);
            g_byte_array_set_size(content, 0);
            has_content = false;
            if (deliveries >= play->lda->envelopes->len)
                fail_msg("not delivered: %s", pattern);
            const char *envelope = g_ptr_array_index(play->lda->envelopes, deliveries++);

            if (!g_pattern_match_simple(pattern, envelope))
                fail_msg("expected \"%s\", got \"%s\"", pattern, envelope);
        } else if (g_ascii_toupper(line->mark) == 'M') {
            g_byte_array_append(content, (const uint8_t *)text, (guint)len);
            has_content = true;
        } else if (line->mark == 'R') {
            assert_true(refusals < play->lda->refusals->len);
            assert_string_equal(pattern, g_ptr_array_index(play->lda->refusals, refusals++));
        }
    }
    if (deliveries > 0)
        expect_content(play, deliveries - 1, content, has_content);
    assert_int_equal(play->lda->envelopes->len, deliveries);
    if (refusals > 0)
        assert_int_equal(play->lda->refusals->len, refusals);
}

static void
session_goes_as_written(void **state)
{
    const Run *run = *state;
    Play *play = g_new(Play, 1); /* not on the stack: a failure leaves here, its thread goes on */

    begin(play, run);

    GThread *server = g_thread_new("session", serve, play);

    converse(play, run);
    g_thread_join(server);
    expect_deliveries(play, run->transcript);
    lda_free(play->lda);
    g_string_free(play->received, TRUE);
    lodge_close(&play->client);
    g_free(play);
}

static gint
by_name(gconstpointer left, gconstpointer right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static GPtrArray *
list_transcripts(void)
{
    g_autoptr(GDir) directory = g_dir_open(TESTS_DIR "/transcripts", 0, NULL);
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    g_assert(directory != NULL);
    while ((name = g_dir_read_name(directory)) != NULL) {
        if (g_str_has_suffix(name, ".txt"))
            g_ptr_array_add(paths, g_build_filename(TESTS_DIR, "transcripts", name, NULL));
    }
    g_ptr_array_sort(paths, by_name);
    return paths;
}

static void
ignore_message(const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
    (void)domain, (void)level, (void)text, (void)data;
}

int
main(void)
{
    g_autoptr(GPtrArray) paths = list_transcripts();
    g_autoptr(GPtrArray) transcripts =
        g_ptr_array_new_with_free_func((GDestroyNotify)transcript_free);
    size_t count = paths->len * WAYS;
    g_autofree struct CMUnitTest *tests = g_new0(struct CMUnitTest, count);
    g_autofree Run *runs = g_new0(Run, count);

    g_log_set_handler(NULL, G_LOG_LEVEL_MESSAGE, ignore_message, NULL);
    for (size_t i = 0; i < count; i++) {
        if (i % WAYS == 0)
            g_ptr_array_add(transcripts, transcript_read(g_ptr_array_index(paths, i / WAYS)));
        runs[i] =
            (Run){.transcript = g_ptr_array_index(transcripts, i / WAYS), .way = (Way)(i % WAYS)};
        tests[i] = (struct CMUnitTest){
            .name = g_strdup_printf("%s, %s", runs[i].transcript->name, way_names[i % WAYS]),
            .test_func = session_goes_as_written,
            .initial_state = &runs[i],
        };
    }

    int failed = _cmocka_run_group_tests("transcripts", tests, count, NULL, NULL);

    for (size_t i = 0; i < count; i++)
        g_free((char *)tests[i].name);
    return failed;
}
