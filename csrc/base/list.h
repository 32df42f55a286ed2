/*
 * list.h - intrusive doubly linked lists: a link lies in what is linked, so
 * that joining and leaving a list cannot fail.
 */
#ifndef SQ_LIST_H
#define SQ_LIST_H

#include "../config.h"

#include <stdbool.h>
#include <stddef.h>

SQ_HIDDEN_BEGIN

struct sq_link {
  struct sq_link *prev, *next; /* both null while in no list */
};

static inline void *sq_link_holder(void *link, size_t offset) {
  return (char *)link - offset;
}

/* The struct of `type` that holds `link` as its `member`. */
#define SQ_HOLDER(link, type, member) \
  ((type *)sq_link_holder(link, offsetof(type, member)))

static inline void sq_list_init(struct sq_link *head) {
  head->prev = head->next = head;
}

static inline bool sq_list_is_empty(const struct sq_link *head) {
  return head->next == head;
}

static inline bool sq_link_is_in(const struct sq_link *link) {
  return link->next != NULL;
}

static inline void sq_list_append(struct sq_link *head, struct sq_link *link) {
  link->prev = head->prev;
  link->next = head;
  head->prev->next = link;
  head->prev = link;
}

/* Leaves its list, if it is in one. */
static inline void sq_link_leave(struct sq_link *link) {
  if (!link->next) return;
  link->prev->next = link->next;
  link->next->prev = link->prev;
  link->prev = link->next = NULL;
}

static inline struct sq_link *sq_list_pop(struct sq_link *head) {
  struct sq_link *link = head->next;
  if (link == head) return NULL;
  head->next = link->next;
  link->next->prev = head;
  link->prev = link->next = NULL;
  return link;
}

SQ_HIDDEN_END

#endif
