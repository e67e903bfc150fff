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

bool
server_listeners_adopt_passed(GPtrArray *listeners, GError **error)
{
    unsigned count = systemd_listen_fds();

    for (unsigned i = 0; i < count; i++) {
        Listener *listener = listener_adopt(SYSTEMD_FIRST_FD + (int)i, false, error);

        if (listener == NULL)
            return false;
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

static bool
are_passed(const GPtrArray *listeners)
{
    return listeners->len > 0 && !listener_is_ours(g_ptr_array_index(listeners, 0));
}

/* Opens those of the addresses that are not in current yet. */
static GPtrArray *
open_missing(const GPtrArray *current, const ServerSettings *settings, GError **error)
{
    g_autoptr(GPtrArray) opened = server_listeners_new();

    for (guint i = 0; i < settings->addresses->len; i++) {
        const ListenerAddress *address = &g_array_index(settings->addresses, ListenerAddress, i);

        if (find_at(current, address) != NULL || find_at(opened, address) != NULL)
            continue;
        Listener *listener = listener_open(address, &settings->permissions, error);
        if (listener == NULL) {
            server_listeners_shut_down(opened, "421 4.3.2 not accepting messages\r\n");
            return NULL;
        }
        g_ptr_array_add(opened, listener);
    }
    return g_steal_pointer(&opened);
}

static bool
is_wanted(const Listener *listener, const ServerSettings *settings)
{
    for (guint i = 0; i < settings->addresses->len; i++) {
        if (listener_is_at(listener, &g_array_index(settings->addresses, ListenerAddress, i)))
            return true;
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
    g_autoptr(GPtrArray) all = server_listeners_new();

    move_all(listeners, all);
    while (all->len > 0) {
        Listener *listener = g_ptr_array_steal_index(all, 0);
        g_autoptr(GError) error = NULL;
        bool stays = is_wanted(listener, settings);

        g_ptr_array_add(stays ? listeners : gone, listener);
        if (stays && !listener_set_permissions(listener, &settings->permissions, &error))
            g_warning("%s", error->message);
    }
}

bool
server_listeners_follow(GPtrArray *listeners, const ServerSettings *settings, GPtrArray **gone_out,
                        GError **error)
{
    g_autoptr(GPtrArray) gone = server_listeners_new();

    if (!are_passed(listeners)) {
        g_autoptr(GPtrArray) opened = open_missing(listeners, settings, error);

        if (opened == NULL)
            return false;
        if (settings->addresses->len == 0) {
            g_set_error(error, LDA_ERROR, LDA_ERROR_CONFIG, "[lmtp] listen names no socket");
            return false;
        }
        sort_out(listeners, settings, gone);
        move_all(opened, listeners);
    }
    *gone_out = g_steal_pointer(&gone);
    return true;
}

void
server_listeners_shut_down(const GPtrArray *listeners, const char *reply)
{
    for (guint i = 0; i < listeners->len; i++)
        listener_shut_down(g_ptr_array_index(listeners, i), reply);
}

char *
server_listeners_format(const GPtrArray *listeners)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < listeners->len; i++) {
        g_autofree char *one = listener_format(g_ptr_array_index(listeners, i));

        g_string_append_printf(text, "%s%s", i > 0 ? " " : "", one);
    }
    return g_string_free(text, FALSE);
}
