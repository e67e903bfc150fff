/* tests/sieve/test_date.c - dates of header fields and their parts */
#include "lodge.h"

#include "sieve/date.h"
#include "tests/sieve/rows.h"

typedef struct {
    const char *behaviour;
    const char *text;
    const char *iso8601; /* in its own zone; NULL: no date */
} Row;

static const Row dates[] = {
    {"date", "Tue, 24 Nov 2026 10:37:40 +0100", "2026-11-24T10:37:40+01:00"},
    {"date_without_weekday", "24 Nov 2026 10:37:40 -0530", "2026-11-24T10:37:40-05:30"},
    {"date_without_seconds", "Tue, 24 Nov 2026 10:37 +0000", "2026-11-24T10:37:00Z"},
    {"minus_zero_is_zero", "Tue, 24 Nov 2026 10:37:40 -0000", "2026-11-24T10:37:40Z"},
    {"one_digit_day", "Sun, 1 Nov 2026 1:02:03 +0000", "2026-11-01T01:02:03Z"},
    {"case_does_not_count", "tue, 24 NOV 2026 10:37:40 gmt", "2026-11-24T10:37:40Z"},
    {"month_in_full", "24 November 2026 10:37:40 +0000", "2026-11-24T10:37:40Z"},
    {"comments_and_blanks", "Tue (x), 24 (a (b) c) Nov\t2026  10 : 37 :40 (y) +0000 (GMT)",
     "2026-11-24T10:37:40Z"},
    {"two_digit_year_of_this_century", "24 Nov 26 10:37:40 +0000", "2026-11-24T10:37:40Z"},
    {"two_digit_year_of_the_last_century", "24 Nov 95 10:37:40 +0000", "1995-11-24T10:37:40Z"},
    {"three_digit_year", "24 Nov 126 10:37:40 +0000", "2026-11-24T10:37:40Z"},
    {"hyphens_between", "24-Nov-2026 10:37:40 +0000", "2026-11-24T10:37:40Z"},
    {"zone_ut", "24 Nov 2026 10:37:40 UT", "2026-11-24T10:37:40Z"},
    {"zone_est", "24 Nov 2026 10:37:40 EST", "2026-11-24T10:37:40-05:00"},
    {"zone_edt", "24 Nov 2026 10:37:40 EDT", "2026-11-24T10:37:40-04:00"},
    {"zone_pst", "24 Nov 2026 10:37:40 PST", "2026-11-24T10:37:40-08:00"},
    {"military_zones_say_nothing", "24 Nov 2026 10:37:40 A", "2026-11-24T10:37:40Z"},
    {"unknown_zones_say_nothing", "24 Nov 2026 10:37:40 CEST", "2026-11-24T10:37:40Z"},
    {"no_zone", "24 Nov 2026 10:37:40", "2026-11-24T10:37:40Z"},
    {"rubbish_behind_the_date", "24 Nov 2026 10:37:40 +0000 foo", "2026-11-24T10:37:40Z"},
    {"received", "from a by b with c; Tue, 24 Nov 2026 10:37:40 +0000", "2026-11-24T10:37:40Z"},
    {"the_last_semicolon_counts", "a; 1 Jan 2000 00:00:00 +0000; 24 Nov 2026 10:37:40 +0000",
     "2026-11-24T10:37:40Z"},
    {"leap_second", "31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:60Z"},
    {"leap_day", "29 Feb 2024 00:00:00 +0000", "2024-02-29T00:00:00Z"},
    {"leap_day_of_a_century", "29 Feb 2000 00:00:00 +0000", "2000-02-29T00:00:00Z"},
    {"no_leap_day", "29 Feb 2023 00:00:00 +0000", NULL},
    {"no_leap_day_of_a_century", "29 Feb 1900 00:00:00 +0000", NULL},
    {"january_32nd", "32 Jan 2026 00:00:00 +0000", NULL},
    {"day_zero", "0 Jan 2026 00:00:00 +0000", NULL},
    {"april_31st", "31 Apr 2026 00:00:00 +0000", NULL},
    {"hour_24", "24 Nov 2026 24:00:00 +0000", NULL},
    {"minute_60", "24 Nov 2026 10:60:00 +0000", NULL},
    {"second_61", "24 Nov 2026 10:00:61 +0000", NULL},
    {"no_month", "24 Foo 2026 10:00:00 +0000", NULL},
    {"no_time", "24 Nov 2026", NULL},
    {"one_digit_year", "24 Nov 6 10:00:00 +0000", NULL},
    {"five_digit_year", "24 Nov 20266 10:00:00 +0000", NULL},
    {"zone_of_three_digits", "24 Nov 2026 10:00:00 +000", NULL},
    {"zone_with_60_minutes", "24 Nov 2026 10:00:00 +0060", NULL},
    {"nothing", "", NULL},
    {"nothing_behind_the_semicolon", "24 Nov 2026 10:00:00 +0000;", NULL},
    {"an_iso_date_is_none", "2026-11-24T10:00:00Z", NULL},
    {"open_comment", "24 Nov (2026 10:00:00 +0000", NULL},
};

static void
check_date(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveDate date;
    bool ok = sieve_date_parse(sieve_text(row->text), &date);

    assert_int_equal(ok, row->iso8601 != NULL);
    if (ok)
        assert_text(sieve_date_part(arena, &date, SIEVE_DATE_ISO8601), row->iso8601);
}

typedef struct {
    const char *behaviour;
    const char *text;
    int zone; /* shifted to, in minutes */
    const char *part, *value;
} PartRow;

#define NEW_YEAR "Wed, 31 Dec 2025 23:05:09 -0100"

static const PartRow part_rows[] = {
    {"year", NEW_YEAR, -60, "year", "2025"},
    {"year_in_another_zone", NEW_YEAR, 0, "year", "2026"},
    {"month", NEW_YEAR, 0, "month", "01"},
    {"day", NEW_YEAR, 0, "day", "01"},
    {"date_part", NEW_YEAR, 0, "date", "2026-01-01"},
    {"date_part_in_its_zone", NEW_YEAR, -60, "date", "2025-12-31"},
    {"hour", NEW_YEAR, 0, "hour", "00"},
    {"minute", NEW_YEAR, 0, "minute", "05"},
    {"second", NEW_YEAR, 0, "second", "09"},
    {"time", NEW_YEAR, 330, "time", "05:35:09"},
    {"iso8601_with_zone", NEW_YEAR, 330, "iso8601", "2026-01-01T05:35:09+05:30"},
    {"iso8601_in_utc", NEW_YEAR, 0, "iso8601", "2026-01-01T00:05:09Z"},
    {"std11", NEW_YEAR, -330, "std11", "Wed, 31 Dec 2025 18:35:09 -0530"},
    {"zone", NEW_YEAR, -330, "zone", "-0530"},
    {"zone_of_utc_is_positive", NEW_YEAR, 0, "zone", "+0000"},
    {"weekday", NEW_YEAR, -60, "weekday", "3"},
    {"weekday_in_another_zone", NEW_YEAR, 0, "weekday", "4"},
    {"sunday_is_zero", "22 Nov 2026 12:00:00 +0000", 0, "weekday", "0"},
    {"julian", "24 Nov 2026 12:00:00 +0000", 0, "julian", "61368"},
    {"julian_counts_from_1858", "17 Nov 1858 00:00:00 +0000", 0, "julian", "0"},
    {"julian_changes_at_midnight_of_the_zone", NEW_YEAR, 0, "julian", "61041"},
    {"julian_of_the_day_before", NEW_YEAR, -60, "julian", "61040"},
    {"parts_are_named_without_regard_to_case", NEW_YEAR, 0, "YEAR", "2026"},
    {"a_time_before_1970", "31 Dec 1969 23:59:59 +0000", 0, "std11",
     "Wed, 31 Dec 1969 23:59:59 +0000"},
};

static void
check_part(void **state)
{
    const PartRow *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveDate date;
    SieveDatePart part;

    assert_true(sieve_date_parse(sieve_text(row->text), &date));
    assert_true(sieve_date_part_find(sieve_text(row->part), &part));
    date.zone = row->zone;
    assert_text(sieve_date_part(arena, &date, part), row->value);
}

static void
zones_are_five_characters(void **state)
{
    static const char *const bad[] = {"",       "0100", "+100",  "+01:00",
                                      "+01000", "GMT",  "+0a00", "+0060"};
    int zone;

    (void)state;
    assert_true(sieve_date_parse_zone(sieve_text("-0130"), &zone));
    assert_int_equal(zone, -90);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_false(sieve_date_parse_zone(sieve_text(bad[i]), &zone));
}

static void
unknown_parts_are_not_found(void **state)
{
    SieveDatePart part;

    (void)state;
    assert_false(sieve_date_part_find(sieve_text("century"), &part));
    assert_false(sieve_date_part_find(sieve_text(""), &part));
}

static void
every_day_of_a_thousand_years_follows_the_one_before(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    SieveDate date;
    int days = 0;

    (void)state;
    assert_true(sieve_date_parse(sieve_text("1 Jan 1800 00:00:00 +0000"), &date));
    for (; days < 366000; days++, date.utc += 24 * 60 * 60) {
        SieveText std11 = sieve_date_part(arena, &date, SIEVE_DATE_STD11);
        SieveDate again;

        assert_true(sieve_date_parse(std11, &again));
        assert_int_equal(again.utc, date.utc);
    }
    assert_text(sieve_date_part(arena, &date, SIEVE_DATE_DATE), "2802-01-28");
}

int
main(void)
{
    GArray *tests = new_tests();
    const struct CMUnitTest others[] = {
        cmocka_unit_test(zones_are_five_characters),
        cmocka_unit_test(unknown_parts_are_not_found),
        cmocka_unit_test(every_day_of_a_thousand_years_follows_the_one_before),
    };

    ADD_ROWS(tests, dates, check_date);
    ADD_ROWS(tests, part_rows, check_part);
    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    return run_rows("date", tests);
}
