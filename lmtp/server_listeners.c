/* lmtp/server_listeners.c - the set of sockets we serve; see server_listeners.h */
#include "lmtp/server_listeners.h"

#include "lda/outcome.h"
#include "lmtp/systemd.h"

static void
free_listener(gpointer listener)
{
    listener_free(listener);
}

GPtrArray *
server_listeners_new(void)
{
    return g_ptr_array_new_with_free_func(free_listener);
}

/* FileDescriptorName= of sockets that speak the policy protocol. */
#define POLICY_NAME "policy"

bool
server_listeners_adopt_passed(GPtrArray *listeners, GError **error)
{
    g_auto(GStrv) names = NULL;
    unsigned count = systemd_listen_fds(&names);
    unsigned named = g_strv_length(names);

    for (unsigned i = 0; i < count; i++) {
        Listener *listener = listener_adopt(SYSTEMD_FIRST_FD + (int)i, false, error);

        if (listener == NULL)
            return false;
        if (i < named && strcmp(names[i], POLICY_NAME) == 0)
            listener_set_service(listener, LISTENER_POLICY);
        g_ptr_array_add(listeners, listener);
    }
    return true;
}

static Listener *
find_at(const GPtrArray *listeners, const ListenerAddress *address)
{
    for (guint i = 0; i < listeners->len; i++) {
        if (listener_is_at(g_ptr_array_index(listeners, i), address))
            return g_ptr_array_index(listeners, i);
    }
    return NULL;
}

/* Whether the service manager passed a socket for that service. */
static bool
is_passed(const GPtrArray *listeners, ListenerService service)
{
    for (guint i = 0; i < listeners->len; i++) {
        const Listener *listener = g_ptr_array_index(listeners, i);

        if (!listener_is_ours(listener) && listener_service(listener) == service)
            return true;
    }
    return false;
}

static bool
open_missing_for(ListenerService service, const GPtrArray *current, const ServerSockets *sockets,
                 GPtrArray *opened, GError **error)
{
    for (guint i = 0; i < sockets->addresses->len; i++) {
        const ListenerAddress *address = &g_array_index(sockets->addresses, ListenerAddress, i);

        if (find_at(current, address) != NULL || find_at(opened, address) != NULL)
            continue;
        Listener *listener = listener_open(address, &sockets->permissions, error);
        if (listener == NULL)
            return false;
        listener_set_service(listener, service);
        g_ptr_array_add(opened, listener);
    }
    return true;
}

/* Opens those of the addresses that are not in current yet. */
static GPtrArray *
open_missing(const GPtrArray *current, const ServerSettings *settings, GError **error)
{
    g_autoptr(GPtrArray) opened = server_listeners_new();

    for (int service = 0; service < LISTENER_SERVICES; service++) {
        if (is_passed(current, (ListenerService)service) ||
            open_missing_for((ListenerService)service, current, &settings->sockets[service], opened,
                             error))
            continue;
        server_listeners_shut_down(opened, "421 4.3.2 not accepting messages\r\n");
        return NULL;
    }
    return g_steal_pointer(&opened);
}

/* Whether the address is one of that service. */
static bool
is_listed(const Listener *listener, const ServerSockets *sockets)
{
    for (guint i = 0; i < sockets->addresses->len; i++) {
        if (listener_is_at(listener, &g_array_index(sockets->addresses, ListenerAddress, i)))
            return true;
    }
    return false;
}

/* Whether a socket of ours stays; for which service is in it then. */
static bool
is_wanted(Listener *listener, const ServerSettings *settings, const bool *passed)
{
    for (int service = 0; service < LISTENER_SERVICES; service++) {
        if (!passed[service] && is_listed(listener, &settings->sockets[service])) {
            listener_set_service(listener, (ListenerService)service);
            return true;
        }
    }
    return false;
}

/* Moves every listener from one set to the end of another. */
static void
move_all(GPtrArray *from, GPtrArray *to)
{
    while (from->len > 0)
        g_ptr_array_add(to, g_ptr_array_steal_index(from, 0));
}

static void
sort_out(GPtrArray *listeners, const ServerSettings *settings, GPtrArray *gone)
{
    const bool passed[LISTENER_SERVICES] = {
        [LISTENER_LMTP] = is_passed(listeners, LISTENER_LMTP),
        [LISTENER_POLICY] = is_passed(listeners, LISTENER_POLICY),
    };
    g_autoptr(GPtrArray) all = server_listeners_new();

    move_all(listeners, all);
    while (all->len > 0) {
        Listener *listener = g_ptr_array_steal_index(all, 0);
        g_autoptr(GError) error = NULL;
        bool stays = !listener_is_ours(listener) || is_wanted(listener, settings, passed);

        g_ptr_array_add(stays ? listeners : gone, listener);
        if (stays &&
            !listener_set_permissions(
                listener, &settings->sockets[listener_service(listener)].permissions, &error))
            g_warning("%s", error->message);
    }
}

bool
server_listeners_follow(GPtrArray *listeners, const ServerSettings *settings, GPtrArray **gone_out,
                        GError **error)
{
    g_autoptr(GPtrArray) gone = server_listeners_new();
    g_autoptr(GPtrArray) opened = open_missing(listeners, settings, error);

    if (opened == NULL)
        return false;
    if (settings->sockets[LISTENER_LMTP].addresses->len == 0 &&
        !is_passed(listeners, LISTENER_LMTP)) {
        server_listeners_shut_down(opened, NULL);
        g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "[lmtp] listen names no socket");
        return false;
    }
    sort_out(listeners, settings, gone);
    move_all(opened, listeners);
    *gone_out = g_steal_pointer(&gone);
    return true;
}

void
server_listeners_shut_down(const GPtrArray *listeners, const char *reply)
{
    for (guint i = 0; i < listeners->len; i++) {
        const Listener *listener = g_ptr_array_index(listeners, i);

        /* Of a policy connection that ends without an answer Postfix tries another. */
        listener_shut_down(listener, listener_service(listener) == LISTENER_LMTP ? reply : NULL);
    }
}

char *
server_listeners_format(const GPtrArray *listeners)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < listeners->len; i++) {
        const Listener *listener = g_ptr_array_index(listeners, i);
        g_autofree char *one = listener_format(listener);

        g_string_append_printf(text, "%s%s%s", i > 0 ? " " : "", one,
                               listener_service(listener) == LISTENER_POLICY ? " (policy)" : "");
    }
    return g_string_free(text, FALSE);
}
