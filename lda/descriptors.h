/* lda/descriptors.h - how many files may be open at once */
#ifndef LODGE_LDA_DESCRIPTORS_H
#define LODGE_LDA_DESCRIPTORS_H

#include "lodge.h"

/* Raises the soft limit of this process, and of all that it starts, as far as the hard limit goes,
 * but not to figures that programs would choke on which close every possible one. Lowers nothing;
 * a limit that cannot be raised stays, and what it hinders is a temporary failure. */
void descriptors_raise_limit(void);

#endif
