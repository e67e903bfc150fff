/* lda/ctl_srs.c - `lodge srs`: the senders that redirects rewrite
 *
 *   lodge srs reverse SRS0=...@our.domain   --> the sender behind it
 *   lodge srs forward ana@example.org       --> what a redirect would send from
 *
 * By the very functions that delivery uses. `reverse` is for whoever brings bounces back.
 */
#include "lda/address.h"
#include "lda/ctl.h"
#include "lda/srs.h"

static int
print_address(const CtlContext *ctl, const char *name, const char *address)
{
    g_autoptr(GString) json = g_string_new("{");

    if (!ctl->json)
        return ctl_print(ctl, address);
    ctl_json_text(json, name, address);
    g_string_append_c(json, '}');
    return ctl_print(ctl, json->str);
}

/* Exit statuses of ctl_fail() know nothing of secrets: a file that cannot be read now is no
 * refusal of the address. */
static int
fail(const CtlContext *ctl, const GError *error)
{
    int status = ctl_fail(ctl, error);

    return g_error_matches(error, SRS_ERROR, SRS_ERROR_SECRET) ? CTL_TEMPORARY : status;
}

static char *
rewrite(const LdaConfig *config, bool forward, const char *address, GError **error)
{
    const char *domain = config->sieve.srs_domain;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    char **secrets = srs_secrets_load(config->sieve.srs_secrets, error);
    char *result;

    if (secrets == NULL)
        return NULL;
    if (*domain == '\0')
        domain = *config->mail.hostname != '\0' ? config->mail.hostname : g_get_host_name();
    result = forward ? srs_forward(address, domain, (const char *const *)secrets, now)
                     : srs_reverse(address, (const char *const *)secrets, now, error);
    srs_secrets_free(secrets);
    return result;
}

static int
run(CtlContext *ctl, int argc, char **argv, bool forward)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *address = NULL, *result = NULL;
    const LdaConfig *config;
    int status = CTL_OK;

    if (!ctl_parse(ctl, &argc, &argv, NULL, 1, 1, &status))
        return status;
    address = address_parse(argv[1], ADDRESS_UTF8);
    if (address == NULL)
        return ctl_usage(ctl, "'%s' is no address", argv[1]);
    config = ctl_config(ctl, &error);
    if (config == NULL)
        return ctl_fail(ctl, error);
    result = rewrite(config, forward, address, &error);
    return result == NULL ? fail(ctl, error) : print_address(ctl, "address", result);
}

int
ctl_srs_forward(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, true);
}

int
ctl_srs_reverse(CtlContext *ctl, int argc, char **argv)
{
    return run(ctl, argc, argv, false);
}
