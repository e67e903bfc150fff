/* lmtp/server_settings.c - the configuration, read and understood; see server_settings.h */
#include "lmtp/server_settings.h"

#include "lda/outcome.h"
#include "lmtp/peer.h"

#include <grp.h>
#include <pwd.h>

static bool
parse_addresses(ServerSettings *settings, GError **error)
{
    settings->addresses = g_array_new(FALSE, FALSE, sizeof(ListenerAddress));
    for (char **text = settings->config->lmtp.listen; *text != NULL; text++) {
        ListenerAddress address;

        if (!listener_parse(*text, &address, error))
            return false;
        g_array_append_val(settings->addresses, address);
    }
    return true;
}

/* Mode and owner of unix sockets. Only root can give a file away, so started
 * otherwise they belong to whoever started us. */
static bool
find_socket_owner(ServerSettings *settings, GError **error)
{
    const char *user = settings->config->lmtp.socket_user;
    const char *group = settings->config->lmtp.socket_group;
    ListenerPermissions *permissions = &settings->permissions;
    bool is_root = geteuid() == 0;
    const struct passwd *user_entry = is_root && user[0] != '\0' ? getpwnam(user) : NULL;
    const struct group *group_entry = is_root && group[0] != '\0' ? getgrnam(group) : NULL;

    if (is_root && user[0] != '\0' && user_entry == NULL) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "[lmtp] socket_user = '%s': no such user",
                    user);
        return false;
    }
    if (is_root && group[0] != '\0' && group_entry == NULL) {
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "[lmtp] socket_group = '%s': no such group",
                    group);
        return false;
    }
    permissions->mode = (mode_t)settings->config->lmtp.socket_mode;
    permissions->uid = user_entry != NULL ? user_entry->pw_uid : (uid_t)-1;
    permissions->gid = group_entry != NULL ? group_entry->gr_gid : (gid_t)-1;
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
        !parse_addresses(settings, error))
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
    return find_socket_owner(settings, error) ? g_steal_pointer(&settings) : NULL;
}

void
server_settings_free(ServerSettings *settings)
{
    if (settings == NULL)
        return;
    config_free(settings->config);
    g_clear_pointer(&settings->addresses, g_array_unref);
    g_clear_pointer(&settings->networks, g_array_unref);
    privileges_free(settings->privileges);
    g_free(settings);
}
