/* lda/smtp_transport.h - a connection to the MTA, greeted, encrypted and logged in
 *
 * The one place that calls libcurl, which is loaded at the first use: most deliveries
 * send nothing. What is said over the connection is submission.c's.
 */
#ifndef LODGE_LDA_SMTP_TRANSPORT_H
#define LODGE_LDA_SMTP_TRANSPORT_H

#include "lodge.h"
#include "lda/config.h"

typedef struct SmtpTransport SmtpTransport;

/* Connects to [submission] url: greeting, EHLO, STARTTLS and login as set. Each step may take
 * [submission] timeout. All failures are SUBMISSION_ERROR_LATER. */
SmtpTransport *smtp_transport_open(const LdaConfig *config, const char *hostname, GError **error);
void smtp_transport_close(SmtpTransport *transport); /* NULL is fine */

bool smtp_transport_send(SmtpTransport *transport, const char *data, size_t len, GError **error);
/* At least one octet, or a failure: also at the end of the connection. */
bool smtp_transport_receive(SmtpTransport *transport, char *buffer, size_t size, size_t *got_out,
                            GError **error);

#endif
