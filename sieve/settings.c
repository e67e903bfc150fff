/* sieve/settings.c - the settings nobody has set. See sieve.h. */
#include "sieve/limits.h"
#include "sieve/sieve.h"

enum { A_DAY = 24 * 60 * 60 };

void
sieve_settings_init(SieveSettings *settings)
{
    *settings = (SieveSettings){
        .user_email = g_strdup(""),
        .recipient_delimiter = g_strdup("+"),
        .max_script_size = SIEVE_MAX_SCRIPT_SIZE,
        .max_actions = SIEVE_MAX_ACTIONS,
        .max_redirects = SIEVE_MAX_REDIRECTS,
        .max_notifications = SIEVE_MAX_NOTIFICATIONS,
        .max_cpu_time = SIEVE_MAX_CPU_TIME,
        .max_steps = SIEVE_MAX_STEPS,
        .variables_max_size = SIEVE_MAX_VARIABLE_SIZE,
        .include_max_depth = SIEVE_MAX_INCLUDE_DEPTH,
        .include_max_scripts = SIEVE_MAX_INCLUDE_SCRIPTS,
        .editheader_max_size = SIEVE_MAX_ADDED_FIELD,
        .editheader_protected = g_strdup(""),
        .editheader_forbid_add = g_strdup(""),
        .editheader_forbid_delete = g_strdup(""),
        .vacation_min_period = A_DAY,
        .vacation_default_subject = g_strdup("Automated reply"),
        .vacation_default_subject_template = g_strdup("Auto: %{subject}"),
        .vacation_max_subject = 256,
        .vacation_check_recipient = true,
        .spamtest_header = g_strdup(""),
        .spamtest_max_header = g_strdup(""),
        .spamtest_max_value = g_strdup(""),
        .virustest_header = g_strdup(""),
        .virustest_max_header = g_strdup(""),
        .virustest_max_value = g_strdup(""),
    };
    for (size_t i = 0; i < G_N_ELEMENTS(settings->spamtest_text); i++)
        settings->spamtest_text[i] = g_strdup("");
    for (size_t i = 0; i < G_N_ELEMENTS(settings->virustest_text); i++)
        settings->virustest_text[i] = g_strdup("");
}

void
sieve_settings_clear(SieveSettings *settings)
{
    char *const strings[] = {
        settings->user_email,
        settings->recipient_delimiter,
        settings->editheader_protected,
        settings->editheader_forbid_add,
        settings->editheader_forbid_delete,
        settings->vacation_default_subject,
        settings->vacation_default_subject_template,
        settings->spamtest_header,
        settings->spamtest_max_header,
        settings->spamtest_max_value,
        settings->virustest_header,
        settings->virustest_max_header,
        settings->virustest_max_value,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(strings); i++)
        g_free(strings[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(settings->spamtest_text); i++)
        g_free(settings->spamtest_text[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(settings->virustest_text); i++)
        g_free(settings->virustest_text[i]);
    *settings = (SieveSettings){0};
}
