/* tests/bench/sieve_speed.c - how fast Sieve is: an everyday script, and what is made to hurt
 *
 *   everyday     40 lines, a message of 4 KiB: the median of many runs
 *   adversarial  each case: it ends within its time, or a limit of the engine ends it
 *
 * All in this process, without delivery: compile, evaluate, list of actions; CPU time. Prints one
 * JSON line: [{"name": ..., "us": ..., "target_us": ..., "end": "done" or the limit}, ...].
 * With --everyday it leaves out the adversarial ones; with --script it prints the everyday script.
 */
#include "bench.h"

#include <malloc.h>

#include "sieve/sieve.h"

enum { EVERYDAY_RUNS = 2000, ADVERSARIAL_US = 100 * 1000 };

static const char everyday_script[] =
    "require [\"fileinto\", \"envelope\", \"imap4flags\", \"variables\", \"body\",\n"
    "         \"relational\", \"comparator-i;ascii-numeric\", \"subaddress\", \"copy\"];\n"
    "# spam goes first\n"
    "if anyof (header :contains \"x-spam-flag\" \"yes\",\n"
    "          header :value \"ge\" :comparator \"i;ascii-numeric\" \"x-spam-score\" \"8\") {\n"
    "    setflag \"\\\\Seen\";\n"
    "    fileinto \"Junk\";\n"
    "    stop;\n"
    "}\n"
    "# lists by their id\n"
    "if header :matches \"list-id\" \"*<*.lists.example.org>*\" {\n"
    "    set :lower \"list\" \"${2}\";\n"
    "    fileinto \"lists.${list}\";\n"
    "    stop;\n"
    "}\n"
    "if envelope :detail \"to\" \"shop\" {\n"
    "    addflag \"$Shop\";\n"
    "    fileinto \"shop\";\n"
    "} elsif address :domain \"from\" [\"shop.example.net\", \"orders.example.net\",\n"
    "                                \"bills.example.com\"] {\n"
    "    fileinto \"shop\";\n"
    "}\n"
    "if allof (address :is \"to\" [\"team@example.org\", \"office@example.org\"],\n"
    "          not address :contains \"from\" \"@example.org\") {\n"
    "    addflag \"\\\\Flagged\";\n"
    "}\n"
    "if header :contains \"subject\" [\"[bug\", \"[ticket\", \"[review\", \"[build\"] {\n"
    "    fileinto \"work.tickets\";\n"
    "}\n"
    "if size :over 2M {\n"
    "    fileinto :copy \"large\";\n"
    "}\n"
    "if body :text :contains [\"unsubscribe from this advertisement\", \"limited offer\"] {\n"
    "    fileinto \"advertisements\";\n"
    "}\n"
    "if exists [\"x-priority\", \"importance\"] {\n"
    "    addflag \"\\\\Flagged\";\n"
    "}\n"
    "keep;\n";

/* Some 4 KiB: a header as it comes from outside, and text with its HTML. */
static GString *
everyday_message(void)
{
    GString *message = g_string_new("Return-Path: <ana@example.net>\n");

    for (int i = 0; i < 4; i++)
        g_string_append_printf(message,
                               "Received: from mx%d.example.net (mx%d.example.net [192.0.2.%d])\n"
                               "\tby mail.example.org (Postfix) with ESMTPS id 4XyZ%d0AbC\n"
                               "\tfor <ben@example.org>; Tue, 24 Nov 2026 09:00:0%d +0000 (UTC)\n",
                               i, i, i, i, i);
    g_string_append(message,
                    "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=mail; c=relaxed/simple;\n"
                    "\tbh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; h=From:To:Subject:Date;\n"
                    "\tb=dGhpcyBpcyBub3QgYSBzaWduYXR1cmUgYnV0IGFzIGxvbmcgYXMgb25lIHdvdWxkIGJl\n"
                    "From: =?utf-8?Q?Ana_M=C3=BCller?= <ana@example.net>\n"
                    "To: \"Ben Example\" <ben@example.org>, team@example.com\n"
                    "Subject: =?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?= and more\n"
                    "Date: Tue, 24 Nov 2026 08:59:58 +0000\n"
                    "Message-ID: <4711.everyday@example.net>\n"
                    "X-Mailer: Example 3.1\n"
                    "X-Spam-Score: 1.3\n"
                    "MIME-Version: 1.0\n"
                    "Content-Type: multipart/alternative; boundary=\"=_part_0001\"\n\n"
                    "--=_part_0001\n"
                    "Content-Type: text/plain; charset=utf-8\n"
                    "Content-Transfer-Encoding: 8bit\n\n");
    for (int i = 0; i < 14; i++)
        g_string_append(message,
                        "A line of text, about as long as the lines of mail usually are\n");
    g_string_append(message, "--=_part_0001\n"
                             "Content-Type: text/html; charset=utf-8\n"
                             "Content-Transfer-Encoding: quoted-printable\n\n<html><body>\n");
    for (int i = 0; i < 14; i++)
        g_string_append(message, "<p>A line of <b>text</b>, with M=C3=BCll &amp; more</p>=20\n");
    g_string_append(message, "</body></html>\n--=_part_0001--\n");
    return message;
}

/* ---- one measurement ----------------------------------------------------- */

static double
cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static SieveScript *
compile(const char *text, size_t len, const SieveSettings *settings)
{
    g_autoptr(GPtrArray) complaints = sieve_complaints_new();
    SieveScript *script = sieve_script_compile("main", text, len, settings, complaints);

    if (script == NULL && complaints->len == 0)
        bench_die("a script was refused without a word");
    return script;
}

/* Evaluates script; what ended it, NULL when it came to its end. Free with g_free(). */
static char *
evaluate(SieveScript *script, const GString *message, const SieveSettings *settings)
{
    const SieveInput input = {.bytes = (const uint8_t *)message->str,
                              .len = message->len,
                              .virtual_size = message->len,
                              .sender = "ana@example.net",
                              .recipient = "ben+work@example.org"};
    const SieveHost host = {.now_us = 1795510800 * (gint64)G_USEC_PER_SEC};
    g_autoptr(SieveRun) run = sieve_run_new(&input, &host, settings);
    g_autoptr(GError) error = NULL;

    if (!sieve_run_script(run, script, &error) &&
        !g_error_matches(error, SIEVE_ERROR, SIEVE_ERROR_LIMIT))
        bench_die("a script failed: %s", error->message);
    (void)sieve_run_finish(run);
    return error == NULL ? NULL : g_strdup(error->message);
}

static void
print_row(const char *name, double us, double target_us, const char *end)
{
    static bool is_started;
    g_autofree char *text = g_strescape(end == NULL ? "done" : end, NULL);

    printf("%s{\"name\": \"%s\", \"us\": %.1f, \"target_us\": %.0f, \"end\": \"%s\"}",
           is_started ? ", " : "", name, us, target_us, text);
    is_started = true;
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double
median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

static void
measure_everyday(const SieveSettings *settings)
{
    g_autoptr(GString) message = everyday_message();
    g_autofree double *compiles = g_new(double, EVERYDAY_RUNS),
                      *runs = g_new(double, EVERYDAY_RUNS);

    for (size_t i = 0; i < EVERYDAY_RUNS; i++) {
        double start = cpu_us();
        g_autoptr(SieveScript) script = compile(everyday_script, strlen(everyday_script), settings);

        if (script == NULL)
            bench_die("the everyday script is refused");
        compiles[i] = cpu_us() - start;
        start = cpu_us();
        g_autofree char *end = evaluate(script, message, settings);

        if (end != NULL)
            bench_die("the everyday script failed: %s", end);
        runs[i] = cpu_us() - start;
    }
    print_row("compile 40 lines", median(compiles, EVERYDAY_RUNS), 100, NULL);
    print_row("evaluate them, 4 KiB", median(runs, EVERYDAY_RUNS), 60, NULL);
}

/* ---- what is made to hurt ------------------------------------------------ */

/* Appends text count times; "%d" in it is the number. */
static GString *
repeat(GString *out, const char *text, int count)
{
    for (int i = 0; i < count; i++) {
        const char *number = strstr(text, "%d");

        if (number == NULL)
            g_string_append(out, text);
        else
            g_string_append_printf(out, "%.*s%d%s", (int)(number - text), text, i, number + 2);
    }
    return out;
}

/* The least of three runs: other work on the machine only adds. */
static void
measure(const char *name, GString *script_text, GString *message, const SieveSettings *settings)
{
    g_autofree char *end = NULL;
    double least = G_MAXDOUBLE;

    for (int i = 0; i < 3; i++) {
        double start = cpu_us();
        g_autoptr(SieveScript) script = compile(script_text->str, script_text->len, settings);

        g_free(end);
        end = script == NULL ? g_strdup("refused") : evaluate(script, message, settings);
        least = MIN(least, cpu_us() - start);
    }
    print_row(name, least, ADVERSARIAL_US, end);
    g_string_free(script_text, TRUE);
    g_string_free(message, TRUE);
}

/* A message with the header given, and a short text. */
static GString *
with_header(GString *header)
{
    return g_string_append(header, "\n\ntext\n");
}

static GString *
nested_multiparts(int depth)
{
    GString *message = g_string_new("Subject: deep\n");

    for (int i = 0; i < depth; i++)
        g_string_append_printf(message, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i,
                               i);
    return message;
}

static GString *
part_of(const char *header, const char *text, int count)
{
    GString *message = g_string_new(header);

    g_string_append(message, "\n\n");
    return repeat(message, text, count);
}

static void
measure_matches(const SieveSettings *settings)
{
    measure("*a*a*a*b on 100,000 a",
            g_string_new("if header :matches \"subject\" \"*a*a*a*a*a*a*a*a*a*a*b\" { discard; }"),
            with_header(repeat(g_string_new("Subject: "), "a", 100000)), settings);
    measure("*?*?*?b on 100,000 a",
            g_string_new("if header :matches \"subject\" \"*?*?*?*?*?*?*?*?*?*?b\" { discard; }"),
            with_header(repeat(g_string_new("Subject: "), "a", 100000)), settings);
    measure(
        "(a+)+$ on 100,000 a",
        g_string_new("require \"regex\"; if header :regex \"subject\" \"^(a+)+$\" { discard; }"),
        with_header(g_string_append(repeat(g_string_new("Subject: "), "a", 100000), "!")),
        settings);
    measure("100 patterns on 100,000 a",
            g_string_append(repeat(g_string_new("if header :matches \"subject\" [\"x\""),
                                   ", \"*a*a*a*b%d\"", 100),
                            "] { discard; }"),
            with_header(repeat(g_string_new("Subject: "), "a", 100000)), settings);
    measure("unicode-casemap on 1 MiB",
            g_string_new("require [\"body\", \"comparator-i;unicode-casemap\"]; if body "
                         ":comparator \"i;unicode-casemap\" :contains \"xyz\" { discard; }"),
            part_of("Content-Type: text/plain; charset=utf-8", "\xC3\xA4\xC3\xB6 a", 170000),
            settings);
}

static void
measure_headers(const SieveSettings *settings)
{
    measure("10,000 header fields",
            g_string_new("if anyof (header :contains [\"x-1\", \"x-9999\", \"x-absent\"] \"zz\", "
                         "exists \"x-absent\", header :matches \"subject\" \"*b\") { discard; }"),
            with_header(repeat(g_string_new("Subject: a\n"), "X-%d: value\n", 10000)), settings);
    measure("10,000 fields of one name",
            g_string_new("if header :contains \"x\" \"nowhere\" { discard; }"),
            with_header(repeat(g_string_new("Subject: a\n"), "X: value %d\n", 10000)), settings);
    measure("10,000 deleted one by one",
            g_string_append(repeat(g_string_new("require [\"editheader\", \"index\"];\n"),
                                   "deleteheader :index 1 \"x\"; if header \"x\" \"y\" { stop; }\n",
                                   999),
                            "keep;"),
            with_header(repeat(g_string_new("Subject: a\n"), "X: value %d\n", 10000)), settings);
    measure("100,000 addresses",
            g_string_new("if address :localpart [\"to\", \"cc\"] \"nobody\" { discard; }"),
            with_header(repeat(g_string_new("Subject: a\nTo: x@example.org"),
                               ",\n \"User %d\" <user@example.org>", 100000)),
            settings);
    measure("100,000 comments in an address",
            g_string_new("if address \"to\" \"nobody\" { discard; }"),
            with_header(repeat(g_string_new("To: x"), "(a", 100000)), settings);
    measure("100,000 encoded words",
            g_string_new("if header :contains \"subject\" \"nowhere\" { discard; }"),
            with_header(repeat(g_string_new("Subject:"), " =?utf-8?Q?=C3=A4?=\n", 100000)),
            settings);
}

static void
measure_scripts(const SieveSettings *settings)
{
    GString *empty = g_string_new("Subject: a\n\ntext\n");

    measure("1 MB of comments", repeat(g_string_new("keep;"), "/* /* */ # /*\n", 70000),
            g_string_new(empty->str), settings);
    measure("1 MB comment that is not closed", repeat(g_string_new("keep; /*"), "/* ", 330000),
            g_string_new(empty->str), settings);
    measure("1 MB of rules",
            repeat(g_string_new(NULL), "if header :contains \"subject\" \"word %d\" { discard; }\n",
                   17000),
            g_string_new(empty->str), settings);
    measure("1 MB of one string list",
            g_string_append(
                repeat(g_string_new("if header \"subject\" [\"x\""), ", \"word %d\"", 69000),
                "] { discard; }"),
            g_string_new(empty->str), settings);
    measure("1 MB of short strings in a list",
            g_string_append(repeat(g_string_new("if header \"subject\" [\"x\""), ",\"y\"", 262000),
                            "]{stop;}"),
            g_string_new(empty->str), settings);
    measure("1 MB of short patterns",
            g_string_append(
                repeat(g_string_new("if header:matches \"subject\" [\"x\""), ",\"*\"", 262000),
                "]{stop;}"),
            g_string_new(empty->str), settings);
    measure("1 MB of names of fields",
            g_string_append(repeat(g_string_new("if header [\"x\""), ",\"y\"", 262000),
                            "]\"z\"{stop;}"),
            g_string_new(empty->str), settings);
    measure("1 MB of short commands", repeat(g_string_new(NULL), "keep;", 209000),
            g_string_new(empty->str), settings);
    measure("1 MB of short blocks", repeat(g_string_new(NULL), "if true{}", 116000),
            g_string_new(empty->str), settings);
    measure("1 MB of short tests",
            g_string_append(repeat(g_string_new("if anyof(false"), ",false", 174000), "){}"),
            g_string_new(empty->str), settings);
    measure(
        "1 MB of tests of a header",
        g_string_append(repeat(g_string_new("if anyof(false"), ",header\"a\"\"b\"", 69000), "){}"),
        g_string_new(empty->str), settings);
    measure("1 MB of variables",
            repeat(g_string_new("require\"variables\";"), "set\"a\"\"${a}\";", 69000),
            g_string_new(empty->str), settings);
    measure("1 MB of names of variables",
            repeat(g_string_new("require\"variables\";"), "set\"a%d\"\"\";", 69000),
            g_string_new(empty->str), settings);
    measure(
        "1 MB of flags",
        g_string_append(
            repeat(g_string_new("require\"imap4flags\";addflag[\"a\""), ",\"f%d\"", 110000), "];"),
        g_string_new(empty->str), settings);
    measure("1 MB of required extensions",
            g_string_append(repeat(g_string_new("require[\"copy\""), ",\"body\"", 149000), "];"),
            g_string_new(empty->str), settings);
    measure("1 MB of requires", repeat(g_string_new(NULL), "require\"copy\";", 74000),
            g_string_new(empty->str), settings);
    measure("1 MB of open parentheses", repeat(g_string_new("if "), "not anyof(", 99000),
            g_string_new(empty->str), settings);
    measure("1 MB of open blocks", repeat(g_string_new(NULL), "if true {", 110000),
            g_string_new(empty->str), settings);
    measure("1 MB of errors", repeat(g_string_new(NULL), "nosuch %d;\n", 70000),
            g_string_new(empty->str), settings);
    measure("1 MB of elsif",
            repeat(g_string_new("if false { stop; }"), " elsif false { stop; }", 47000),
            g_string_new(empty->str), settings);
    measure("values that grow",
            repeat(g_string_new("require \"variables\"; set \"a\" \"xxxxxxxxxxxxxxxx\";\n"),
                   "set \"a\" \"${a}${a}${a}${a}${a}${a}${a}${a}\";\n", 20000),
            g_string_new(empty->str), settings);
    g_string_free(empty, TRUE);
}

static void
measure_parts(const SieveSettings *settings)
{
    static const char body_test[] =
        "require \"body\"; if body :text :contains \"nowhere\" { discard; }";

    measure("MIME 1,000 deep", g_string_new(body_test), nested_multiparts(1000), settings);
    measure("and 5 MB of dashes", g_string_new(body_test),
            repeat(nested_multiparts(1000), "--\n", 1700000), settings);
    measure("10,000 parts", g_string_new(body_test),
            part_of("Content-Type: multipart/mixed; boundary=b", "--b\n\ntext\n", 10000), settings);
    measure("loops in loops over 10,000 parts",
            g_string_new("require [\"foreverypart\", \"mime\"]; foreverypart { foreverypart { "
                         "foreverypart { keep; } if header :mime :anychild \"a\" \"b\" { keep; } } "
                         "if header :mime :anychild \"a\" \"b\" { keep; } }"),
            part_of("Content-Type: multipart/mixed; boundary=b", "--b\n\ntext\n", 10000), settings);
    measure("loops in loops, 1,000 deep",
            g_string_new("require [\"foreverypart\", \"mime\"]; foreverypart { foreverypart { "
                         "foreverypart { if header :mime :anychild \"a\" \"b\" { keep; } } } }"),
            nested_multiparts(1000), settings);
    measure("100,000 parameters", g_string_new(body_test),
            with_header(repeat(g_string_new("Content-Type: multipart/mixed"), ";a*%d=x", 100000)),
            settings);
    measure("5 MB of base64", g_string_new(body_test),
            part_of("Content-Transfer-Encoding: base64", "dGV4dCBsaW5lIG9mIGJhc2U2NCAh\n", 170000),
            settings);
    measure("5 MB of quoted-printable", g_string_new(body_test),
            part_of("Content-Transfer-Encoding: quoted-printable", "=C3=A4=\n", 620000), settings);
    measure("5 MB of HTML tags", g_string_new(body_test),
            part_of("Content-Type: text/html", "<a b='c'>&amp;", 360000), settings);
    measure("5 MB of less-than signs", g_string_new(body_test),
            part_of("Content-Type: text/html", "<", 5000000), settings);
    measure("every part replaced",
            g_string_new("require [\"foreverypart\", \"replace\"]; foreverypart { foreverypart { "
                         "replace \"x\"; } }"),
            part_of("Content-Type: multipart/mixed; boundary=b", "--b\n\ntext\n", 10000), settings);
}

int
main(int argc, char **argv)
{
    SieveSettings settings;

    g_set_prgname("sieve_speed");
    if (argc > 1 && strcmp(argv[1], "--script") == 0) {
        fputs(everyday_script, stdout);
        return 0;
    }
    /* Memory stays with the process between runs: how long the kernel takes to map new pages is
     * the machine's affair (in some virtual machines 10 us a page), not the engine's. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
    (void)mallopt(M_TRIM_THRESHOLD, G_MAXINT);
    sieve_settings_init(&settings);
    settings.programs = false;
    printf("[");
    measure_everyday(&settings);
    if (argc < 2 || strcmp(argv[1], "--everyday") != 0) {
        measure_matches(&settings);
        measure_headers(&settings);
        measure_scripts(&settings);
        measure_parts(&settings);
    }
    printf("]\n");
    sieve_settings_clear(&settings);
    return 0;
}
