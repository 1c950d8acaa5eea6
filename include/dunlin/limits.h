/* Every bound on data that comes from outside, in one place; docs/limits.md explains them. */
#ifndef DUNLIN_LIMITS_H
#define DUNLIN_LIMITS_H

#define DUNLIN_MAX_KEY 1024u                   /* bytes of a map key */
#define DUNLIN_MAX_VALUE (768u * 1024)         /* bytes of a string or of bytes */
#define DUNLIN_MAX_DEPTH 32u                   /* containers inside containers */
#define DUNLIN_MAX_PLAIN (16u * 1024 * 1024)   /* bytes of a plain value */
#define DUNLIN_MAX_PLAIN_VALUES (1u << 20)     /* values in it, itself and all containers included */
#define DUNLIN_MAX_CHANGE (960u * 1024)        /* canonical bytes of a change */
#define DUNLIN_MAX_PARENTS 1024u               /* parents of a change */
#define DUNLIN_MAX_DELTA_CHANGES (1u << 20)    /* changes in a delta */
#define DUNLIN_MAX_DELTA_OPS (1u << 24)        /* operations (local versions) in a delta */
#define DUNLIN_MAX_PENDING (16u * 1024 * 1024) /* bytes of changes that wait for their parents, a document */
#define DUNLIN_MAX_REFUSED 32768u              /* refused changes that a document remembers */
#define DUNLIN_MAX_FRAME (64u * 1024)          /* bytes of a frame on a link */
#define DUNLIN_MAX_SEALED (1024u * 1024)       /* bytes of a sealed run */
#define DUNLIN_MAX_RAW (4u * 1024 * 1024)      /* bytes of a run's data before compression */
#define DUNLIN_MAX_NAME 255u                   /* bytes of a space, document or device name */
#define DUNLIN_MAX_WRITERS 64u                 /* writer slots of a store */
#define DUNLIN_MAX_MEMBERS 256u                /* devices in a space */
#define DUNLIN_MAX_INVITATIONS 63u             /* open invitations of a store */

#endif
