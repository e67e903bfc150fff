/* tests/lda/test_log.c - lines, escapes, and trouble with the file */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>

#include "lda/log.h"

/* What went to syslog(3): our definition is found before libc's. */
static GPtrArray *syslogged;

void
syslog(int priority, const char *format, ...)
{
    va_list args;

    (void)priority;
    va_start(args, format);
    g_ptr_array_add(syslogged, g_strdup_vprintf(format, args));
    va_end(args);
}

typedef struct {
    char *dir;
    char *path;
    LdaConfig *config;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->dir = g_dir_make_tmp("lodge-log-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->dir, "deliver.log", NULL);
    g_autofree char *file = g_build_filename(fixture->dir, "lodge.conf", NULL);
    g_autofree char *setting = g_strconcat("log.path=", fixture->path, NULL);
    const char *const overrides[] = {setting, "log.time_format=T", NULL};
    assert_true(g_file_set_contents(file, "", 0, NULL));
    fixture->config = config_load(file, overrides, NULL);
    (void)g_unlink(file);
    syslogged = g_ptr_array_new_with_free_func(g_free);
    *state = fixture;
    return fixture->config == NULL;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    config_free(fixture->config);
    (void)g_unlink(fixture->path);
    (void)g_rmdir(fixture->dir);
    g_free(fixture->path);
    g_free(fixture->dir);
    g_free(fixture);
    g_clear_pointer(&syslogged, g_ptr_array_unref);
    return 0;
}

static char *
contents(const Fixture *fixture)
{
    char *text = NULL;

    (void)g_file_get_contents(fixture->path, &text, NULL, NULL);
    return text;
}

static void
write_value(Log *log, const char *value)
{
    LogLine *line = log_line_new(log, "e");

    log_line_add(line, "v", value);
    log_line_write(line);
}

typedef struct {
    const char *value;
    const char *logfmt; /* after "v=" */
    const char *json;   /* after "\"v\":" */
} Escape;

static const Escape escapes[] = {
    {"plain", "plain", "\"plain\""},
    {"", "\"\"", "\"\""},
    {"two words", "\"two words\"", "\"two words\""},
    {"<a+b@c.d>", "<a+b@c.d>", "\"<a+b@c.d>\""},
    {"a=b", "\"a=b\"", "\"a=b\""},
    {"say \"hi\"", "\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\""},
    {"C:\\x", "\"C:\\\\x\"", "\"C:\\\\x\""},
    {"one\ntwo\r\tx", "\"one\\ntwo\\r\\tx\"", "\"one\\ntwo\\r\\tx\""},
    {"\x1b[31m\x7f", "\"\\x1b[31m\\x7f\"", "\"\\u001b[31m\\u007f\""},
    {"\xff\xfe", "\"\\xff\\xfe\"", "\"\\ufffd\\ufffd\""},
    {"cut \xe2\x82", "\"cut \\xe2\\x82\"", "\"cut \\ufffd\\ufffd\""},
    {"jös€", "jös€", "\"jös€\""},
    {"no\xc2\xa0"
     "break",
     "\"no\xc2\xa0"
     "break\"",
     "\"no\xc2\xa0"
     "break\""},
    {"c1\xc2\x9b", "\"c1\\xc2\\x9b\"", "\"c1\\u009b\""},
    {"rtl\xe2\x80\xae", "\"rtl\\xe2\\x80\\xae\"", "\"rtl\\u202e\""},
    {"tag\xf3\xa0\x80\x81", "\"tag\\xf3\\xa0\\x80\\x81\"", "\"tag\\udb40\\udc01\""},
};

static void
text_from_outside_is_escaped_in_both_formats(void **state)
{
    Fixture *fixture = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(escapes); i++) {
        for (int format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
            fixture->config->log.format = format;
            g_autoptr(Log) log = log_open(fixture->config, "test");
            write_value(log, escapes[i].value);
            g_autofree char *text = contents(fixture);
            g_autofree char *expected =
                format == LOG_FORMAT_JSON
                    ? g_strdup_printf("{\"time\":\"T\",\"event\":\"e\",\"v\":%s}\n",
                                      escapes[i].json)
                    : g_strdup_printf("time=T event=e v=%s\n", escapes[i].logfmt);
            assert_string_equal(text, expected);
            (void)g_unlink(fixture->path);
        }
    }
}

static void
fields_keep_their_order_and_null_leaves_one_out(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Log) log = log_open(fixture->config, "test");
    LogLine *line = log_line_new(log, "delivery");

    log_line_add(line, "to", "ana@example.org");
    log_line_add(line, "folder", NULL);
    log_line_add_number(line, "size", -5);
    log_line_write(line);
    g_autofree char *text = contents(fixture);
    assert_string_equal(text, "time=T event=delivery to=ana@example.org size=-5\n");
}

static void
long_value_is_cut_between_characters(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Log) log = log_open(fixture->config, "test");
    g_autoptr(GString) value = g_string_new(NULL);

    while (value->len < 10000)
        g_string_append(value, "€");
    write_value(log, value->str);
    g_autofree char *text = contents(fixture);
    assert_true(g_utf8_validate(text, -1, NULL));
    assert_null(strchr(text, '\\'));
    assert_int_equal(strlen(text), strlen("time=T event=e v=") + 4095 + strlen("\n"));
}

static void
time_has_the_configured_format(void **state)
{
    Fixture *fixture = *state;

    g_free(fixture->config->log.time_format);
    fixture->config->log.time_format = g_strdup("%Y-%m-%d %H:%M:%S");
    g_autoptr(Log) log = log_open(fixture->config, "test");
    write_value(log, "x");
    g_autofree char *text = contents(fixture);
    assert_true(g_regex_match_simple("^time=\"\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\" event=e ",
                                     text, 0, 0));
}

static void
file_is_made_with_mode_0640_and_appended_to(void **state)
{
    Fixture *fixture = *state;
    struct stat st;
    mode_t old = umask(0);

    for (int i = 0; i < 2; i++) {
        g_autoptr(Log) log = log_open(fixture->config, "test");

        write_value(log, "x");
    }
    (void)umask(old);
    assert_int_equal(stat(fixture->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    g_autofree char *text = contents(fixture);
    assert_string_equal(text, "time=T event=e v=x\ntime=T event=e v=x\n");
    assert_int_equal(syslogged->len, 0);
}

static void
reopen_follows_a_rotated_file(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Log) log = log_open(fixture->config, "test");
    g_autofree char *rotated = g_strconcat(fixture->path, ".1", NULL);

    write_value(log, "old");
    assert_int_equal(rename(fixture->path, rotated), 0);
    log_reopen(log);
    write_value(log, "new");
    g_autofree char *text = contents(fixture);
    assert_string_equal(text, "time=T event=e v=new\n");
    assert_int_equal(g_unlink(rotated), 0);
}

static void
missing_directory_sends_the_lines_to_syslog_and_says_so_once(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(g_rmdir(fixture->dir), 0);
    g_autoptr(Log) log = log_open(fixture->config, "test");
    write_value(log, "one");
    write_value(log, "two");
    assert_int_equal(syslogged->len, 3);
    assert_non_null(strstr(syslogged->pdata[0], "deliver.log: No such file or directory"));
    assert_string_equal(syslogged->pdata[1], "time=T event=e v=one");
    assert_string_equal(syslogged->pdata[2], "time=T event=e v=two");

    assert_int_equal(g_mkdir(fixture->dir, 0700), 0);
    log_reopen(log);
    write_value(log, "three");
    g_autofree char *text = contents(fixture);
    assert_string_equal(text, "time=T event=e v=three\n");
    assert_int_equal(syslogged->len, 3);
}

static void
full_disk_sends_the_lines_to_syslog_and_says_so_once(void **state)
{
    Fixture *fixture = *state;

    g_free(fixture->config->log.path);
    fixture->config->log.path = g_strdup("/dev/full");
    g_autoptr(Log) log = log_open(fixture->config, "test");
    write_value(log, "one");
    write_value(log, "two");
    assert_int_equal(syslogged->len, 3);
    assert_non_null(strstr(syslogged->pdata[0], "No space left on device"));
    assert_string_equal(syslogged->pdata[2], "time=T event=e v=two");
}

static void
fifo_without_a_reader_does_not_hold_up_anybody(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    g_autoptr(Log) log = log_open(fixture->config, "test");
    write_value(log, "one");
    assert_int_equal(syslogged->len, 2);
    assert_string_equal(syslogged->pdata[1], "time=T event=e v=one");
}

static void
syslog_target_leaves_the_time_to_syslog(void **state)
{
    Fixture *fixture = *state;

    fixture->config->log.target = LOG_TARGET_SYSLOG;
    g_autoptr(Log) log = log_open(fixture->config, "test");
    write_value(log, "100%s");
    assert_int_equal(syslogged->len, 1);
    assert_string_equal(syslogged->pdata[0], "event=e v=100%s");
    assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
}

static void
messages_of_the_program_go_to_the_same_place_until_the_log_is_closed(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Log) log = log_open(fixture->config, "prog");
    g_autofree char *expected = g_strdup_printf(
        "time=T event=message level=message program=prog pid=%d text=\"worker started\"\n"
        "time=T event=message level=warning program=prog pid=%d text=\"a\\nb\"\n",
        (int)getpid(), (int)getpid());

    log_capture_messages(log);
    g_message("worker %s", "started");
    g_warning("a\nb");
    g_info("not for the log");
    g_autofree char *text = contents(fixture);
    assert_string_equal(text, expected);
}

/* Two processes, 500 lines each of a length that would show a torn write. */
static void
lines_of_two_processes_stay_whole(void **state)
{
    enum { LINES = 500 };
    Fixture *fixture = *state;
    g_autoptr(Log) log = log_open(fixture->config, "test");
    g_autofree char *value = g_strnfill(3000, 'v');
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    for (int i = 0; i < LINES; i++)
        write_value(log, value);
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, &status, 0), child);
    g_autofree char *text = contents(fixture);
    g_autofree char *expected = g_strdup_printf("time=T event=e v=%s", value);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    assert_int_equal(g_strv_length(lines), 2 * LINES + 1);
    for (int i = 0; i < 2 * LINES; i++)
        assert_string_equal(lines[i], expected);
}

#define LOG_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(text_from_outside_is_escaped_in_both_formats),
        LOG_TEST(fields_keep_their_order_and_null_leaves_one_out),
        LOG_TEST(long_value_is_cut_between_characters),
        LOG_TEST(time_has_the_configured_format),
        LOG_TEST(file_is_made_with_mode_0640_and_appended_to),
        LOG_TEST(reopen_follows_a_rotated_file),
        LOG_TEST(missing_directory_sends_the_lines_to_syslog_and_says_so_once),
        LOG_TEST(full_disk_sends_the_lines_to_syslog_and_says_so_once),
        LOG_TEST(fifo_without_a_reader_does_not_hold_up_anybody),
        LOG_TEST(syslog_target_leaves_the_time_to_syslog),
        LOG_TEST(messages_of_the_program_go_to_the_same_place_until_the_log_is_closed),
        LOG_TEST(lines_of_two_processes_stay_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
