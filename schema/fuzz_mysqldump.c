/* schema/fuzz_mysqldump.c - whatever is handed in as a dump */
#include "schema/mysqldump.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check_rows(const MysqldumpTable *table)
{
    for (guint i = 0; i < table->rows->len; i++) {
        const MysqldumpRow *row = g_ptr_array_index(table->rows, i);

        g_assert(row->line >= 1 && row->values->len == g_strv_length(row->columns));
        for (guint j = 0; j < row->values->len; j++) {
            const MysqldumpValue *value = &g_array_index(row->values, MysqldumpValue, j);

            g_assert(value->text == NULL ? value->len == 0 : value->text[value->len] == '\0');
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tables = mysqldump_parse((const char *)bytes, len, &error);

    g_assert((tables == NULL) == (error != NULL));
    if (tables == NULL)
        g_assert(g_str_has_prefix(error->message, "line ") &&
                 g_utf8_validate(error->message, -1, NULL));
    for (guint i = 0; tables != NULL && i < tables->len; i++)
        check_rows(g_ptr_array_index(tables, i));
    return 0;
}
