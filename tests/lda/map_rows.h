/* tests/lda/map_rows.h - rows for a map made by a test */
#ifndef LODGE_LDA_TEST_MAP_ROWS_H
#define LODGE_LDA_TEST_MAP_ROWS_H

#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "schema/mapedit.h"

/* Adds the row, or sets it when it is there; column may be NULL. */
static inline void
map_row(const char *map, MapeditTable table, const char *key, const char *column, const char *value)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Mapedit) edit = mapedit_open(map, 1000, &error);
    g_autoptr(GHashTable) values = g_hash_table_new(g_str_hash, g_str_equal);

    assert_non_null(edit);
    if (column != NULL)
        g_hash_table_insert(values, (char *)column, (char *)value);
    if (!mapedit_add(edit, table, key, values, NULL) &&
        !mapedit_set(edit, table, key, values, &error))
        fail_msg("%s", error->message);
}

#endif
