/* tests/sieve/test_comparator.c - equality and order of strings */
#include "lodge.h"

#include "tests/sieve/rows.h"
#include "sieve/comparator.h"

typedef struct {
    const char *behaviour;
    const char *comparator, *a, *b;
    int order;
} Row;

static const Row rows[] = {
    {"octets_differ_by_case", "i;octet", "a", "A", 1},
    {"octets_are_unsigned", "i;octet", "\xff", "a", 1},
    {"a_prefix_is_less", "i;octet", "ab", "abc", -1},
    {"empty_is_least", "i;octet", "", "a", -1},
    {"ascii_case_does_not_count", "i;ascii-casemap", "FooBar", "fOObAR", 0},
    {"ascii_casemap_leaves_other_letters", "i;ascii-casemap", "\xc3\xa9", "\xc3\x89", 1},
    {"ascii_casemap_orders_in_upper_case", "i;ascii-casemap", "_", "z", 1},
    {"ascii_casemap_prefix_is_less", "i;ascii-casemap", "AB", "abc", -1},
    {"numbers_compare_by_value", "i;ascii-numeric", "10", "9", 1},
    {"leading_zeros_do_not_count", "i;ascii-numeric", "0009", "9", 0},
    {"zeros_are_equal", "i;ascii-numeric", "000", "0", 0},
    {"what_follows_the_number_does_not_count", "i;ascii-numeric", "7 of 9", "7x", 0},
    {"no_number_is_more_than_any", "i;ascii-numeric", "x", "99999999999999999999", 1},
    {"no_number_equals_no_number", "i;ascii-numeric", "x", "", 0},
    {"a_sign_is_no_number", "i;ascii-numeric", "-1", "1", 1},
    {"numbers_past_64_bits", "i;ascii-numeric", "18446744073709551617", "18446744073709551616", 1},
    {"unicode_case_does_not_count", "i;unicode-casemap", "\xc3\xa9t\xc3\xa9", "\xc3\x89T\xc3\x89",
     0},
    {"composed_equals_decomposed", "i;unicode-casemap", "\xc3\xa9", "e\xcc\x81", 0},
    {"greek_case_does_not_count", "i;unicode-casemap", "\xcf\x83", "\xce\xa3", 0},
    {"titlecase_example_of_rfc_5051", "i;unicode-casemap", "\xc7\x84", "Dz\xcc\x8c", 1},
    {"titlecase_example_of_rfc_5051_from_lower", "i;unicode-casemap", "\xc7\x84", "\xc7\x86", 0},
    {"compatibility_forms_are_equal", "i;unicode-casemap", "\xef\xbc\xa1", "a", 0},
    {"sharp_s_is_no_double_s", "i;unicode-casemap", "\xc3\x9f", "ss", 1},
    {"invalid_utf8_is_octets", "i;unicode-casemap",
     "\xff"
     "a",
     "\xff"
     "A",
     1},
    {"unicode_casemap_of_ascii", "i;unicode-casemap", "abc", "ABC", 0},
};

static int
sign(int order)
{
    return (order > 0) - (order < 0);
}

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(SieveArena) arena = sieve_arena_new(0);
    const SieveComparator *comparator = sieve_comparator_find(sieve_text(row->comparator));
    SieveText a = sieve_text(row->a), b = sieve_text(row->b);

    assert_non_null(comparator);
    assert_int_equal(sign(comparator->compare(arena, a, b)), row->order);
    assert_int_equal(sign(comparator->compare(arena, b, a)), -row->order);
    if (comparator != &sieve_comparator_ascii_numeric)
        assert_int_equal(sieve_text_equal(comparator->fold(arena, a), comparator->fold(arena, b)),
                         row->order == 0);
}

static void
nul_does_not_end_a_string(void **state)
{
    SieveText a = {.bytes = "a\0b", .len = 3}, b = {.bytes = "a\0c", .len = 3};
    g_autoptr(SieveArena) arena = sieve_arena_new(0);

    (void)state;
    assert_true(sieve_comparator_octet.compare(arena, a, b) < 0);
    assert_true(sieve_comparator_ascii_casemap.compare(arena, a, b) < 0);
    assert_true(sieve_comparator_unicode_casemap.compare(arena, a, b) < 0);
}

static void
dz_with_caron_folds_as_rfc_5051_says(void **state)
{
    g_autoptr(SieveArena) arena = sieve_arena_new(0);

    (void)state;
    assert_text(sieve_comparator_unicode_casemap.fold(arena, sieve_text("\xc7\x84")), "Dz\xcc\x8c");
}

static void
unknown_names_are_not_found(void **state)
{
    (void)state;
    assert_null(sieve_comparator_find(sieve_text("i;basic")));
    assert_null(sieve_comparator_find(sieve_text("I;OCTET")));
    assert_null(sieve_comparator_find(sieve_text("")));
}

int
main(void)
{
    GArray *tests = new_tests();
    const struct CMUnitTest others[] = {
        cmocka_unit_test(nul_does_not_end_a_string),
        cmocka_unit_test(dz_with_caron_folds_as_rfc_5051_says),
        cmocka_unit_test(unknown_names_are_not_found),
    };

    ADD_ROWS(tests, rows, check_row);
    g_array_append_vals(tests, others, G_N_ELEMENTS(others));
    return run_rows("comparator", tests);
}
