/* tests/schema/test_mysqldump.c - dumps, and what is no dump */
#include "lodge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "schema/mysqldump.h"

/* Everything that was read: "table(columns) value|value ...". NULL is (null). */
static char *
describe(const GPtrArray *tables)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (guint i = 0; i < tables->len; i++) {
        const MysqldumpTable *table = g_ptr_array_index(tables, i);
        g_autofree char *columns =
            table->columns != NULL ? g_strjoinv(",", table->columns) : g_strdup("?");

        g_string_append_printf(out, "%s%s(%s)", i > 0 ? " " : "", table->name, columns);
        for (guint j = 0; j < table->rows->len; j++) {
            const MysqldumpRow *row = g_ptr_array_index(table->rows, j);

            g_string_append_c(out, ' ');
            for (guint k = 0; k < row->values->len; k++) {
                const MysqldumpValue *value = &g_array_index(row->values, MysqldumpValue, k);

                g_string_append_printf(out, "%s%s", k > 0 ? "|" : "",
                                       value->text != NULL ? value->text : "(null)");
            }
        }
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

typedef struct {
    const char *behaviour;
    const char *sql;
    const char *expected; /* description, or the message of the error */
    int error;            /* MysqldumpError, or -1 */
} Row;

#define T "CREATE TABLE t (a int, b text);\n"

static const Row rows[] = {
    {"empty_file_has_no_tables", "", "", -1},
    {"columns_are_read_and_keys_are_not",
     "CREATE TABLE `users` (\n  `email` varchar(80) NOT NULL DEFAULT 'a,(b)',\n"
     "  `key` enum('x','y') COMMENT 'it''s; \\'so\\'',\n  PRIMARY KEY (`email`(10),`key`),\n"
     "  UNIQUE KEY `k` (`key`),\n  CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `d` (`e`)\n"
     ") ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4;",
     "users(email,key)", -1},
    {"column_named_like_a_key_is_a_column_in_backquotes", "CREATE TABLE t (`primary` int)",
     "the file ends where ';' should stand", MYSQLDUMP_ERROR_SYNTAX},
    {"backquoted_keyword_is_a_column", "CREATE TABLE t (`primary` int);", "t(primary)", -1},
    {"doubled_backquote_is_one", "CREATE TABLE `a``b` (`c``d` int);", "a`b(c`d)", -1},
    {"name_of_the_database_is_dropped", "CREATE TABLE `mail`.`users` (a int);", "users(a)", -1},
    {"rows_of_one_insert", T "INSERT INTO t VALUES (1,'x'),(2,'y');", "t(a,b) 1|x 2|y", -1},
    {"rows_of_several_inserts",
     T "INSERT INTO `t` VALUES (1,'x');\nINSERT IGNORE INTO t VALUES (2,'y');", "t(a,b) 1|x 2|y",
     -1},
    {"list_of_columns_needs_no_table", "INSERT INTO t (`b`, a) VALUES ('x',1);", "t(?) x|1", -1},
    {"delayed_insert_is_one_too",
     T "INSERT  DELAYED IGNORE INTO `t` VALUES\n(1,'x');\nINSERT  DELAYED INTO t VALUES (2,'y');",
     "t(a,b) 1|x 2|y", -1},
    {"replace_is_an_insert", T "REPLACE INTO t VALUES (1,'x');", "t(a,b) 1|x", -1},
    {"null_is_not_the_text_null", T "INSERT INTO t VALUES (NULL,'NULL');", "t(a,b) (null)|NULL",
     -1},
    {"quotes_are_doubled_or_escaped", T "INSERT INTO t VALUES ('it''s \\'','\\\\\\\"\"');",
     "t(a,b) it's '|\\\"\"", -1},
    {"double_quotes_are_strings_too", T "INSERT INTO t VALUES (\"it's\",\"\"\"\");",
     "t(a,b) it's|\"", -1},
    {"escapes_of_control_characters", T "INSERT INTO t VALUES ('\\n\\t\\r\\b','\\Z');",
     "t(a,b) \n\t\r\b|\x1a", -1},
    {"escape_without_a_meaning_is_the_character", T "INSERT INTO t VALUES ('\\q','\\%\\_');",
     "t(a,b) q|\\%\\_", -1},
    {"signs_of_sql_in_a_string_are_text", T "INSERT INTO t VALUES ('a;),(','-- /* # */');",
     "t(a,b) a;),(|-- /* # */", -1},
    {"numbers_keep_their_text", T "INSERT INTO t VALUES (-1,2.5e-3);", "t(a,b) -1|2.5e-3", -1},
    {"numbers_of_any_size_keep_their_text", T "INSERT INTO t VALUES (18446744073709551616,+7);",
     "t(a,b) 18446744073709551616|+7", -1},
    {"binary_strings", T "INSERT INTO t VALUES (_binary 'x',_utf8mb4'y');", "t(a,b) x|y", -1},
    {"hexadecimal_strings", T "INSERT INTO t VALUES (x'6a4B',0x6A);", "t(a,b) jK|j", -1},
    {"bits_are_a_number", T "INSERT INTO t VALUES (b'101',B'0');", "t(a,b) 5|0", -1},
    {"truth_is_a_number", T "INSERT INTO t VALUES (TRUE,false);", "t(a,b) 1|0", -1},
    {"comments_are_skipped",
     "-- one\n--\n# two\n/* three ; */\nCREATE /* four */ TABLE t (a int -- five\n);", "t(a)", -1},
    {"minus_minus_without_a_blank_is_no_comment", T "INSERT INTO t VALUES (1,--2);",
     "line 2: '-' stands where a value should", MYSQLDUMP_ERROR_SYNTAX},
    {"executable_comments_count",
     "/*!40101 SET NAMES utf8 */;\n/*!40000 CREATE TABLE t (a int) */;"
     "/*!40000 ALTER TABLE `t` DISABLE KEYS */;\nINSERT INTO t VALUES /*!99999 (1), */ (2);",
     "t(a) 1 2", -1},
    {"mariadb_begins_with_a_comment_of_its_own",
     "/*M!999999\\- enable the sandbox mode */ \n/*M!100616 SET x=1 */;\n" T, "t(a,b)", -1},
    {"comment_inside_an_executable_one", "/*!50013 CREATE TABLE t (a int /* inner */) */;", "t(a)",
     -1},
    {"statements_without_data_are_skipped",
     "SET @a=@@b, time_zone='+00:00';\nUSE `mail`;\nDROP TABLE IF EXISTS t;\n"
     "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mail`;\nLOCK TABLES `t` WRITE;\n"
     "UNLOCK TABLES;\nSTART TRANSACTION;\nBEGIN;\nCOMMIT;;",
     "", -1},
    {"ansi_mode_has_names_in_double_quotes",
     "/*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ANSI' */;\nDROP TABLE IF EXISTS \"t\";\n"
     "CREATE TABLE \"t\" (\n  \"a\" varchar(9) DEFAULT 'x',\n  \"key\" int,\n  PRIMARY KEY "
     "(\"a\")\n);\nLOCK TABLES \"t\" WRITE;\n/*!40000 ALTER TABLE \"t\" DISABLE KEYS */;\n"
     "INSERT INTO \"t\" VALUES\n('it\\'s \\\"',NULL);\nUNLOCK TABLES;",
     "t(a,key) it's \"|(null)", -1},
    {"columns_of_mariadb_with_checks_and_functions",
     "CREATE TABLE `t` (\n  `j` longtext COLLATE utf8mb4_bin DEFAULT NULL CHECK "
     "(json_valid(`j`)),\n  `g` bigint(20) GENERATED ALWAYS AS (7 + (1)) VIRTUAL,\n  `u` uuid "
     "DEFAULT uuid(),\n  `b` bit(1) DEFAULT b'1'\n) ENGINE=InnoDB WITH SYSTEM VERSIONING\n "
     "PARTITION BY HASH (`g`)\nPARTITIONS 2;\nset autocommit=0;\nINSERT INTO `t` VALUES\n"
     "(NULL,7,'6f50-52',0x01);\ncommit;",
     "t(j,g,u,b) (null)|7|6f50-52|\x01", -1},
    {"position_in_the_binary_log_is_skipped",
     "CHANGE MASTER TO MASTER_LOG_FILE='b.000001', MASTER_LOG_POS=328;\n"
     "-- SET GLOBAL gtid_slave_pos='';\n" T,
     "t(a,b)", -1},
    {"header_and_last_line_belong_together",
     "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.19\n" T
     "-- Dump completed on 2026-01-31 12:00:00\n",
     "t(a,b)", -1},
    {"dump_that_was_cut_off_between_statements",
     "-- MySQL dump 10.13  Distrib 8.0.36\n" T "UNLOCK TABLES;\n",
     "line 4: the file ends without \"-- Dump completed\": it was cut off", MYSQLDUMP_ERROR_SYNTAX},
    {"keys_that_are_added_later",
     T "ALTER TABLE `t` ADD PRIMARY KEY (`a`), ADD UNIQUE KEY `k` (`b`(5));\n"
       "ALTER TABLE t MODIFY `a` int NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=4;",
     "t(a,b)", -1},
    {"column_that_is_added_later_is_refused", T "ALTER TABLE t ADD `c` int;",
     "line 2: this change of table 't' is not understood", MYSQLDUMP_ERROR_UNKNOWN},
    {"column_that_is_dropped_later_is_refused", T "ALTER TABLE t ADD KEY k (a), DROP COLUMN b;",
     "line 2: this change of table 't' is not understood", MYSQLDUMP_ERROR_UNKNOWN},
    {"line_is_counted_through_strings_and_comments",
     "/*\n\n*/\n" T "INSERT INTO t VALUES (1,'\n\n'),\n(2,'x',3);",
     "line 8: 3 values for the 2 columns of table 't'", MYSQLDUMP_ERROR_SYNTAX},
    {"insert_without_columns_of_an_unknown_table", "INSERT INTO t VALUES (1);",
     "line 1: the columns of table 't' are not known: its CREATE TABLE is not in the file",
     MYSQLDUMP_ERROR_UNKNOWN},
    {"table_for_the_second_time", T T, "line 2: table 't' for the second time; dump one database",
     MYSQLDUMP_ERROR_UNKNOWN},
    {"update_is_refused", T "\nUPDATE t SET a=1;", "line 3: the statement UPDATE is not understood",
     MYSQLDUMP_ERROR_UNKNOWN},
    {"insert_in_an_executable_comment_is_not_lost", T "/*!50000 DELETE FROM t */;",
     "line 2: the statement DELETE is not understood", MYSQLDUMP_ERROR_UNKNOWN},
    {"view_is_refused", "/*!50001 CREATE VIEW v AS SELECT 1 */;",
     "line 1: only CREATE TABLE is understood, no views, triggers or procedures; dump with "
     "--skip-triggers and name the tables",
     MYSQLDUMP_ERROR_UNKNOWN},
    {"view_is_refused_in_ansi_quotes_too",
     "/*!50001 CREATE VIEW \"v\" AS SELECT\n 1 AS \"email\" */;",
     "line 1: only CREATE TABLE is understood", MYSQLDUMP_ERROR_UNKNOWN},
    {"trigger_is_refused_where_its_delimiter_changes",
     T "/*!50003 SET sql_mode = 'ANSI' */ ;\nDELIMITER ;;\n/*!50003 CREATE*/ /*!50017 "
       "DEFINER=`root`@`localhost`*/ /*!50003 trigger tg before insert on t\nfor each row begin "
       "set new.a=1; end */;;\nDELIMITER ;\n",
     "line 3: only CREATE TABLE is understood", MYSQLDUMP_ERROR_UNKNOWN},
    {"insert_select_is_refused", T "INSERT INTO t SELECT * FROM u;",
     "line 2: 'SELECT' stands where VALUES should", MYSQLDUMP_ERROR_SYNTAX},
    {"on_duplicate_key_is_refused", T "INSERT INTO t VALUES (1,2) ON DUPLICATE KEY UPDATE a=1;",
     "line 2: 'ON' stands where ';' should", MYSQLDUMP_ERROR_SYNTAX},
    {"function_is_refused", T "INSERT INTO t VALUES (1,ENCRYPT('x'));",
     "line 2: 'ENCRYPT' stands where a value should", MYSQLDUMP_ERROR_SYNTAX},
    {"mode_that_changes_strings_is_refused", "SET SQL_MODE='NO_BACKSLASH_ESCAPES';",
     "line 1: sql_mode NO_BACKSLASH_ESCAPES is not understood; dump without it",
     MYSQLDUMP_ERROR_UNKNOWN},
    {"string_that_does_not_end", T "INSERT INTO t VALUES (1,'x\n);\n",
     "line 2: a string does not end", MYSQLDUMP_ERROR_SYNTAX},
    {"backslash_at_the_end_of_the_file", T "INSERT INTO t VALUES (1,'x\\",
     "line 2: a string does not end", MYSQLDUMP_ERROR_SYNTAX},
    {"comment_that_does_not_end", "\n/* x", "line 2: a comment does not end",
     MYSQLDUMP_ERROR_SYNTAX},
    {"executable_comment_that_does_not_end", "/*!40101 SET x=1;", "line 1: a comment does not end",
     MYSQLDUMP_ERROR_SYNTAX},
    {"dump_that_was_cut_off", T "INSERT INTO t VALUES (1,'x'),(2",
     "line 2: the file ends where ')' should stand", MYSQLDUMP_ERROR_SYNTAX},
    {"dump_without_its_last_semicolon", "SET x=1", "line 1: the file ends where ';' should stand",
     MYSQLDUMP_ERROR_SYNTAX},
    {"bad_hexadecimal_digits", T "INSERT INTO t VALUES (1,x'6g');",
     "line 2: a string stands where hexadecimal digits should", MYSQLDUMP_ERROR_SYNTAX},
    {"bytes_that_are_not_utf8_are_shown_as_such", "\n\xb0",
     "line 2: the statement \xef\xbf\xbd is not understood", MYSQLDUMP_ERROR_UNKNOWN},
    {"something_else_altogether", "From: ana@example.org\n\nhello\n",
     "line 1: the statement From is not understood", MYSQLDUMP_ERROR_UNKNOWN},
    {"secret_in_the_wrong_place_is_not_repeated", T "INSERT INTO t VALUES (1,2) 'secret';",
     "line 2: a string stands where ';' should", MYSQLDUMP_ERROR_SYNTAX},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) tables = mysqldump_parse(row->sql, strlen(row->sql), &error);

    if (row->error >= 0) {
        assert_null(tables);
        assert_true(g_error_matches(error, MYSQLDUMP_ERROR, row->error));
        assert_non_null(strstr(error->message, row->expected));
        return;
    }
    if (tables == NULL)
        print_message("%s\n", error->message);
    assert_non_null(tables);

    g_autofree char *text = describe(tables);

    assert_string_equal(text, row->expected);
}

static void
nul_in_a_string_is_kept_with_its_length(void **state)
{
    static const char sql[] = T "INSERT INTO t VALUES (1,'a\\0b');";
    g_autoptr(GPtrArray) tables = mysqldump_parse(sql, strlen(sql), NULL);
    const MysqldumpTable *table = g_ptr_array_index(tables, 0);
    const MysqldumpValue *value = mysqldump_value(g_ptr_array_index(table->rows, 0), "B");

    (void)state;
    assert_int_equal(value->len, 3);
    assert_memory_equal(value->text, "a\0b", 4);
}

static void
value_of_a_missing_column_is_none(void **state)
{
    static const char sql[] = T "INSERT INTO t (a) VALUES (1);";
    g_autoptr(GPtrArray) tables = mysqldump_parse(sql, strlen(sql), NULL);
    const MysqldumpTable *table = g_ptr_array_index(tables, 0);

    (void)state;
    assert_null(mysqldump_value(g_ptr_array_index(table->rows, 0), "b"));
}

/* A file that ends anywhere is refused, or says less: never more, and never a crash. */
static void
dump_cut_at_every_octet_is_read_safely(void **state)
{
    static const char sql[] =
        "/*M!999999\\- x */\n-- c\n/*!40101 SET a='b' */;\nCREATE TABLE `t` (`a` int(1) "
        "DEFAULT 'x', KEY `k` (`a`));\nINSERT INTO `t` (`a`) VALUES (x'61'),(_binary "
        "'\\''),(-1.5e-3),(NULL);\nALTER TABLE t ADD KEY (a);\n";

    (void)state;
    for (size_t len = 0; len <= strlen(sql); len++) {
        g_autofree char *exact = g_memdup2(sql, len); /* a byte further is not ours */
        g_autoptr(GPtrArray) tables = mysqldump_parse(exact != NULL ? exact : "", len, NULL);

        assert_true(tables == NULL || tables->len <= 1);
    }
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(nul_in_a_string_is_kept_with_its_length),
        cmocka_unit_test(value_of_a_missing_column_is_none),
        cmocka_unit_test(dump_cut_at_every_octet_is_read_safely),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].behaviour, .test_func = check_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests(others, NULL, NULL) + cmocka_run_group_tests(tests, NULL, NULL);
}
