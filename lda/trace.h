/* lda/trace.h - the header fields that a delivery puts in front of a message
 *
 * Return-Path, Delivered-To, X-Original-To and Received (RFC 5321 section 4.4).
 * Fields the MTA has put there already (pipe(8) flags D, O, R) are not repeated.
 * Whatever the envelope holds, a value never becomes a line of its own.
 */
#ifndef LODGE_LDA_TRACE_H
#define LODGE_LDA_TRACE_H

#include "lodge.h"
#include "lda/config.h"
#include "lda/envelope.h"
#include "lda/message.h"

typedef struct {
    const char *host;
    const char *transaction_id;
    gint64 now_us;
    int delivered_to; /* DeliveredTo: may the copy name its recipient? */
    bool single;      /* the transaction has one recipient */
} TraceOptions;

/* The fields for the copy of recipient, LF line ends. Delivered-To, X-Original-To
 * and the "for" of Received all name the recipient: they are written together or
 * not at all, as options->delivered_to says. */
char *trace_headers(const TraceOptions *options, const LdaEnvelope *envelope,
                    const LdaRecipient *recipient, const Message *message);

#endif
