/* lda/smtp_transport.c - a connection to the MTA by libcurl; see smtp_transport.h
 *
 * CURLOPT_CONNECT_ONLY makes libcurl do all that must be right about a connection: names and
 * addresses, TLS and certificates, SASL. Then its octets are ours.
 *
 * libcurl.so.4 is opened with dlopen() and never closed again: it and its TLS library cost
 * several milliseconds and megabytes at the start of a program that rarely needs them.
 */
#include "lda/smtp_transport.h"

#include "lda/submission.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <poll.h>

/* curl/typecheck-gcc.h checks calls of the functions by name; ours are pointers. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

typedef struct {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *curl);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    CURLcode (*easy_send)(CURL *curl, const void *data, size_t len, size_t *sent_out);
    CURLcode (*easy_recv)(CURL *curl, void *buffer, size_t size, size_t *got_out);
    const char *(*easy_strerror)(CURLcode code);
    void (*easy_cleanup)(CURL *curl);
} Library;

struct SmtpTransport {
    const Library *curl;
    CURL *handle;
    curl_socket_t socket;
    int timeout_ms;
};

static bool
fail(GError **error, const char *what, const char *why)
{
    g_set_error(error, SUBMISSION_ERROR, SUBMISSION_ERROR_LATER, "cannot %s: %s", what, why);
    return false;
}

static bool
load_functions(void *library, Library *curl)
{
    const struct {
        const char *name;
        void *slot;
    } functions[] = {
        {"curl_global_init", &curl->global_init},   {"curl_easy_init", &curl->easy_init},
        {"curl_easy_setopt", &curl->easy_setopt},   {"curl_easy_perform", &curl->easy_perform},
        {"curl_easy_getinfo", &curl->easy_getinfo}, {"curl_easy_send", &curl->easy_send},
        {"curl_easy_recv", &curl->easy_recv},       {"curl_easy_strerror", &curl->easy_strerror},
        {"curl_easy_cleanup", &curl->easy_cleanup},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(functions); i++) {
        void *function = dlsym(library, functions[i].name);

        if (function == NULL)
            return false;
        memcpy(functions[i].slot, &function, sizeof function);
    }
    return true;
}

/* The library, loaded once a process; what failed for want of descriptors or memory is tried
 * again at the next use. */
static const Library *
load_library(GError **error)
{
    static GMutex mutex;
    static Library curl;
    static bool is_loaded;
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&mutex);
    void *library = is_loaded ? NULL : dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    if (is_loaded)
        return &curl;
    if (library == NULL) {
        (void)fail(error, "send mail", dlerror());
        return NULL;
    }
    is_loaded = load_functions(library, &curl) && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (is_loaded)
        return &curl;
    (void)fail(error, "send mail", "libcurl.so.4 is not as it should be");
    (void)dlclose(library);
    return NULL;
}

/* ---- opening ------------------------------------------------------------- */

static bool
read_password(const char *path, char **password_out, GError **error)
{
    g_autoptr(GError) cause = NULL;
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, &cause))
        return fail(error, "read the password for the MTA", cause->message);
    text[strcspn(text, "\r\n")] = '\0';
    *password_out = text;
    return true;
}

static bool
set_login(SmtpTransport *transport, const LdaConfig *config, GError **error)
{
    char *password = NULL;

    if (*config->submission.user == '\0')
        return true;
    if (!read_password(config->submission.password_file, &password, error))
        return false;
    transport->curl->easy_setopt(transport->handle, CURLOPT_USERNAME, config->submission.user);
    transport->curl->easy_setopt(transport->handle, CURLOPT_PASSWORD, password);
    explicit_bzero(password, strlen(password));
    g_free(password);
    return true;
}

static void
set_tls(SmtpTransport *transport, const LdaConfig *config)
{
    static const long levels[] = {
        [SUBMISSION_TLS_NO] = CURLUSESSL_NONE,
        [SUBMISSION_TLS_TRY] = CURLUSESSL_TRY,
        [SUBMISSION_TLS_YES] = CURLUSESSL_ALL,
    };
    const Library *curl = transport->curl;
    /* "try" is better than clear text, not a proof of who is there: a certificate it cannot check
     * must not stop mail that it would have sent without any. smtps:// always checks. */
    bool verify = config->submission.tls != SUBMISSION_TLS_TRY ||
                  g_ascii_strncasecmp(config->submission.url, "smtps:", 6) == 0;

    curl->easy_setopt(transport->handle, CURLOPT_USE_SSL, levels[config->submission.tls]);
    curl->easy_setopt(transport->handle, CURLOPT_SSL_VERIFYPEER, (long)verify);
    curl->easy_setopt(transport->handle, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    if (*config->submission.ca_file != '\0')
        curl->easy_setopt(transport->handle, CURLOPT_CAINFO, config->submission.ca_file);
}

/* libcurl sends the path of the URL as the name in EHLO. */
static char *
make_url(const LdaConfig *config, const char *hostname)
{
    const char *url = config->submission.url;
    size_t len = strlen(url);

    while (len > 0 && url[len - 1] == '/')
        len--;
    return g_strdup_printf("%.*s/%s", (int)len, url, hostname);
}

static void
set_connection(SmtpTransport *transport, const LdaConfig *config, const char *hostname)
{
    const Library *curl = transport->curl;
    g_autofree char *url = make_url(config, hostname);

    curl->easy_setopt(transport->handle, CURLOPT_URL, url);
    curl->easy_setopt(transport->handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl->easy_setopt(transport->handle, CURLOPT_CONNECT_ONLY, 1L);
    curl->easy_setopt(transport->handle, CURLOPT_SASL_IR, 1L); /* one round less */
    curl->easy_setopt(transport->handle, CURLOPT_PROXY, "");   /* whatever the environment says */
    curl->easy_setopt(transport->handle, CURLOPT_TIMEOUT_MS, (long)transport->timeout_ms);
}

SmtpTransport *
smtp_transport_open(const LdaConfig *config, const char *hostname, GError **error)
{
    const Library *curl = load_library(error);
    char reason[CURL_ERROR_SIZE] = "";
    SmtpTransport *transport;
    CURLcode code;

    if (curl == NULL)
        return NULL;
    transport = g_new0(SmtpTransport, 1);
    transport->curl = curl;
    transport->handle = curl->easy_init();
    transport->timeout_ms = (int)MIN(config->submission.timeout * 1000, (guint64)G_MAXINT);
    g_assert(transport->handle != NULL);
    set_connection(transport, config, hostname);
    set_tls(transport, config);
    if (!set_login(transport, config, error)) {
        smtp_transport_close(transport);
        return NULL;
    }
    curl->easy_setopt(transport->handle, CURLOPT_ERRORBUFFER, reason);
    code = curl->easy_perform(transport->handle);
    if (code == CURLE_OK)
        code = curl->easy_getinfo(transport->handle, CURLINFO_ACTIVESOCKET, &transport->socket);
    curl->easy_setopt(transport->handle, CURLOPT_ERRORBUFFER, NULL);
    if (code != CURLE_OK) {
        g_autofree char *what =
            code == CURLE_LOGIN_DENIED
                ? g_strdup_printf("log in as '%s' at %s", config->submission.user,
                                  config->submission.url)
                : g_strdup_printf("connect to %s", config->submission.url);

        (void)fail(error, what, *reason == '\0' ? curl->easy_strerror(code) : reason);
        smtp_transport_close(transport);
        return NULL;
    }
    return transport;
}

void
smtp_transport_close(SmtpTransport *transport)
{
    if (transport == NULL)
        return;
    transport->curl->easy_cleanup(transport->handle);
    g_free(transport);
}

/* ---- octets -------------------------------------------------------------- */

/* Until the socket is ready; libcurl says CURLE_AGAIN when it is not. */
static bool
wait_for(SmtpTransport *transport, short events, GError **error)
{
    struct pollfd ready = {.fd = transport->socket, .events = events};
    int count;

    do
        count = poll(&ready, 1, transport->timeout_ms);
    while (count < 0 && errno == EINTR);
    return count > 0 ||
           fail(error, "talk to the MTA", count == 0 ? "timed out" : g_strerror(errno));
}

bool
smtp_transport_send(SmtpTransport *transport, const char *data, size_t len, GError **error)
{
    const Library *curl = transport->curl;

    while (len > 0) {
        size_t sent = 0;
        CURLcode code = curl->easy_send(transport->handle, data, len, &sent);

        if (code == CURLE_AGAIN) {
            if (!wait_for(transport, POLLOUT, error))
                return false;
            continue;
        }
        if (code != CURLE_OK)
            return fail(error, "send to the MTA", curl->easy_strerror(code));
        data += sent;
        len -= sent;
    }
    return true;
}

bool
smtp_transport_receive(SmtpTransport *transport, char *buffer, size_t size, size_t *got_out,
                       GError **error)
{
    const Library *curl = transport->curl;
    size_t got = 0;
    CURLcode code;

    while ((code = curl->easy_recv(transport->handle, buffer, size, &got)) == CURLE_AGAIN) {
        if (!wait_for(transport, POLLIN, error))
            return false;
    }
    if (code != CURLE_OK)
        return fail(error, "hear from the MTA", curl->easy_strerror(code));
    if (got == 0)
        return fail(error, "hear from the MTA", "it hung up");
    *got_out = got;
    return true;
}
