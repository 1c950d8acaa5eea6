#include <dunlin/dunlin.h>

static const struct {
  int error;
  const char *name;
  const char *text;
} table[] = {
#define ROW(error, text)                                                                                               \
  { error, #error, text }
    ROW(DUNLIN_OK, "done"),
    ROW(DUNLIN_EINVAL, "an argument makes no sense"),
    ROW(DUNLIN_ERANGE, "an index or a number is out of range"),
    ROW(DUNLIN_EKIND, "the thing there is of another kind"),
    ROW(DUNLIN_EUTF8, "not valid UTF-8"),
    ROW(DUNLIN_ELIMIT, "larger than a limit"),
    ROW(DUNLIN_ENOENT, "there is no such thing"),
    ROW(DUNLIN_EEXIST, "it is there already"),
    ROW(DUNLIN_ESTATE, "not possible in this state"),
    ROW(DUNLIN_ECONFLICT, "the document has moved on"),
    ROW(DUNLIN_EPERM, "your role in the space does not allow it"),
    ROW(DUNLIN_EPATH, "the path leads nowhere"),
    ROW(DUNLIN_EFORMAT, "malformed bytes"),
    ROW(DUNLIN_EREFUSED, "not a valid change for this document"),
    ROW(DUNLIN_ENEWER, "needs a newer version of dunlin"),
    ROW(DUNLIN_EAUTH, "a signature or key does not match"),
    ROW(DUNLIN_ENOSTORE, "there is no store"),
    ROW(DUNLIN_ENOTSTORE, "not a store"),
    ROW(DUNLIN_EVERSION, "a store of another version"),
    ROW(DUNLIN_EPASS, "wrong passphrase or key file"),
    ROW(DUNLIN_ENOKEY, "a passphrase or key file is needed"),
    ROW(DUNLIN_EBUSY, "in use"),
    ROW(DUNLIN_ECORRUPT, "stored data is damaged"),
    ROW(DUNLIN_EIO, "reading or writing failed"),
    ROW(DUNLIN_ENOSPC, "no space left on the device"),
    ROW(DUNLIN_ENET, "no connection"),
    ROW(DUNLIN_EPEER, "the peer broke the protocol"),
    ROW(DUNLIN_ETIMEOUT, "the peer stopped answering"),
    ROW(DUNLIN_EADDR, "the address is not understood or its port is in use"),
    ROW(DUNLIN_EINVITE, "not an invitation, or damaged"),
    ROW(DUNLIN_EUSED, "the invitation was used already"),
    ROW(DUNLIN_EEXPIRED, "the invitation has expired"),
    ROW(DUNLIN_ESTRANGER, "the peer shares no space with this device"),
    ROW(DUNLIN_ENOMEM, "out of memory"),
#undef ROW
};

const char *dunlin_error_name(int error) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].error == error) return table[i].name;
  return "DUNLIN_EUNKNOWN";
}

const char *dunlin_error_text(int error) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].error == error) return table[i].text;
  return "an error that this version does not know";
}
