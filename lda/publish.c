/* lda/publish.c - one copy by itself: durable, then seen, then seen for good; see publish.h */
#include "lda/publish.h"

#include "lda/commit.h"

static bool
check(const CommitItem *item, const MaildirCopy *copy, GError **error)
{
    errno = item->error;
    return item->error == 0 || lodge_set_errno(error, "make '%s' durable", maildir_copy_path(copy));
}

bool
publish_durably(const LdaConfig *config, MaildirCopy *copy, GError **error)
{
    CommitItem contents = {.fd = maildir_copy_fd(copy), .info = maildir_copy_info(copy)};
    CommitItem name = {.fd = maildir_copy_directory_fd(copy)};

    if (config->mail.durability == DURABILITY_NONE)
        return maildir_publish(copy, error);
    commit_contents(NULL, &contents, 1);
    if (!check(&contents, copy, error) || !maildir_publish(copy, error))
        return false;
    commit_names(NULL, &name, 1);
    return check(&name, copy, error);
}
