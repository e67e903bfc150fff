/* lmtp/server_settings.c - the configuration, read and understood; see server_settings.h */
#include "lmtp/server_settings.h"

#include "lda/outcome.h"
#include "lmtp/peer.h"

#include <grp.h>
#include <pwd.h>

/* A section of the configuration with settings for sockets. */
typedef struct {
    const char *section;
    char **listen;
    guint64 mode;
    const char *user;
    const char *group;
} SocketSettings;

static bool
parse_addresses(const SocketSettings *given, GArray *addresses, GError **error)
{
    for (char **text = given->listen; *text != NULL; text++) {
        ListenerAddress address;

        if (!listener_parse(*text, &address, error)) {
            g_prefix_error(error, "[%s] ", given->section);
            return false;
        }
        g_array_append_val(addresses, address);
    }
    return true;
}

/* Mode and owner of unix sockets. Only root can give a file away, so started
 * otherwise they belong to whoever started us. */
static bool
find_socket_owner(const SocketSettings *given, ListenerPermissions *permissions, GError **error)
{
    bool is_root = geteuid() == 0;
    const struct passwd *user = is_root && given->user[0] != '\0' ? getpwnam(given->user) : NULL;
    const struct group *group = is_root && given->group[0] != '\0' ? getgrnam(given->group) : NULL;

    if (is_root && given->user[0] != '\0' && user == NULL) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "[%s] socket_user = '%s': no such user",
                    given->section, given->user);
        return false;
    }
    if (is_root && given->group[0] != '\0' && group == NULL) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "[%s] socket_group = '%s': no such group",
                    given->section, given->group);
        return false;
    }
    permissions->mode = (mode_t)given->mode;
    permissions->uid = user != NULL ? user->pw_uid : (uid_t)-1;
    permissions->gid = group != NULL ? group->gr_gid : (gid_t)-1;
    return true;
}

static bool
read_sockets(ServerSettings *settings, GError **error)
{
    const LdaConfig *config = settings->config;
    const SocketSettings given[LISTENER_SERVICES] = {
        [LISTENER_LMTP] = {"lmtp", config->lmtp.listen, config->lmtp.socket_mode,
                           config->lmtp.socket_user, config->lmtp.socket_group},
        [LISTENER_POLICY] = {"policy", config->policy.listen, config->policy.socket_mode,
                             config->policy.socket_user, config->policy.socket_group},
    };

    for (int service = 0; service < LISTENER_SERVICES; service++) {
        ServerSockets *sockets = &settings->sockets[service];

        sockets->addresses = g_array_new(FALSE, FALSE, sizeof(ListenerAddress));
        if (!parse_addresses(&given[service], sockets->addresses, error))
            return false;
        /* Without sockets nobody need exist who owns them: policy is off by default. */
        if (sockets->addresses->len > 0 || service == LISTENER_LMTP) {
            if (!find_socket_owner(&given[service], &sockets->permissions, error))
                return false;
        }
    }
    for (char **text = config->policy.listen; *text != NULL; text++) {
        if (g_strv_contains((const char *const *)config->lmtp.listen, *text)) {
            g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                        "[policy] listen: '%s' is in [lmtp] listen too", *text);
            return false;
        }
    }
    return true;
}

static bool
check_worker_numbers(const LdaConfig *config, GError **error)
{
    if (config->lmtp.min_workers >= 1 && config->lmtp.min_workers <= config->lmtp.max_workers)
        return true;
    g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG,
                "[lmtp] min_workers = %" G_GUINT64_FORMAT ", max_workers = %" G_GUINT64_FORMAT
                ": expected 1 <= min_workers <= max_workers",
                config->lmtp.min_workers, config->lmtp.max_workers);
    return false;
}

ServerSettings *
server_settings_load(const char *path, const char *const *overrides, GError **error)
{
    g_autoptr(ServerSettings) settings = g_new0(ServerSettings, 1);

    settings->config = config_load(path, overrides, error);
    if (settings->config == NULL || !check_worker_numbers(settings->config, error) ||
        !read_sockets(settings, error))
        return NULL;
    settings->networks =
        peer_networks_parse((const char *const *)settings->config->lmtp.trusted_networks, error);
    if (settings->networks == NULL)
        return NULL;
    if (geteuid() == 0) {
        settings->privileges =
            privileges_find(settings->config->mail.user, settings->config->mail.group, error);
        if (settings->privileges == NULL)
            return NULL;
    }
    return g_steal_pointer(&settings);
}

void
server_settings_free(ServerSettings *settings)
{
    if (settings == NULL)
        return;
    config_free(settings->config);
    for (int service = 0; service < LISTENER_SERVICES; service++)
        g_clear_pointer(&settings->sockets[service].addresses, g_array_unref);
    g_clear_pointer(&settings->networks, g_array_unref);
    privileges_free(settings->privileges);
    g_free(settings);
}
