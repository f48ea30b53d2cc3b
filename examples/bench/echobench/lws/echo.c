/*
 * An echo and file server on libwebsockets, for comparison: lws PORT RX [-broadcast] [DIR].
 * It sends every message back whole, and with -broadcast answers the text message
 * "B<n>" with n bytes 'x' to every connection. RX is the size of the receive buffer.
 */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message that waits to be sent. */
struct msg {
	struct msg *next;
	size_t len;
	int binary;
	unsigned char data[]; /* LWS_PRE bytes of room, and len bytes */
};

/* A connection. */
struct session {
	struct session *next, **at; /* list of all, when broadcasting */
	struct lws *wsi;
	struct msg *first, **last; /* messages to be sent */
	unsigned char *in;         /* message that is being received, with LWS_PRE in front */
	size_t have, room;
};

static struct session *all;
static int broadcast;

static struct msg *new_msg(const void *p, size_t len, int binary)
{
	struct msg *m = malloc(sizeof *m + LWS_PRE + len);
	if (!m)
		return NULL;
	m->next = NULL;
	m->len = len;
	m->binary = binary;
	if (p)
		memcpy(m->data + LWS_PRE, p, len);
	else
		memset(m->data + LWS_PRE, 'x', len);
	return m;
}

static int queue(struct session *s, struct msg *m)
{
	if (!m)
		return -1;
	*s->last = m;
	s->last = &m->next;
	lws_callback_on_writable(s->wsi);
	return 0;
}

static int receive(struct session *s, const void *p, size_t len)
{
	const int binary = lws_frame_is_binary(s->wsi);
	const int whole = lws_is_final_fragment(s->wsi) && !lws_remaining_packet_payload(s->wsi);
	int r;
	if (whole && !s->have && !(broadcast && !binary))
		return queue(s, new_msg(p, len, binary));
	if (s->have + len + 1 > s->room) {
		size_t room = 2 * (s->have + len + lws_remaining_packet_payload(s->wsi)) + 1;
		unsigned char *in = realloc(s->in, room);
		if (!in)
			return -1;
		s->in = in;
		s->room = room;
	}
	memcpy(s->in + s->have, p, len);
	s->have += len;
	if (!whole)
		return 0;
	s->in[s->have] = 0;
	r = 0;
	if (broadcast && !binary && s->have > 1 && s->in[0] == 'B') {
		const size_t n = strtoul((char *)s->in + 1, NULL, 10);
		for (struct session *o = all; o && !r; o = o->next)
			r = queue(o, new_msg(NULL, n, 0));
	} else {
		r = queue(s, new_msg(s->in, s->have, binary));
	}
	s->have = 0;
	free(s->in);
	s->in = NULL;
	s->room = 0;
	return r;
}

static int send_one(struct session *s)
{
	struct msg *m = s->first;
	int n;
	if (!m)
		return 0;
	n = lws_write(s->wsi, m->data + LWS_PRE, m->len, m->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
	s->first = m->next;
	if (!s->first)
		s->last = &s->first;
	else
		lws_callback_on_writable(s->wsi);
	if (n >= 0 && (size_t)n < m->len)
		n = -1;
	free(m);
	return n < 0 ? -1 : 0;
}

static int echo(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t len)
{
	struct session *s = user;
	switch (why) {
	case LWS_CALLBACK_ESTABLISHED:
		memset(s, 0, sizeof *s);
		s->wsi = wsi;
		s->last = &s->first;
		if (broadcast) {
			s->next = all;
			s->at = &all;
			if (all)
				all->at = &s->next;
			all = s;
		}
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return receive(s, in, len);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return send_one(s);
	case LWS_CALLBACK_CLOSED:
		if (s->at) {
			*s->at = s->next;
			if (s->next)
				s->next->at = s->at;
		}
		while (s->first) {
			struct msg *m = s->first;
			s->first = m->next;
			free(m);
		}
		free(s->in);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, why, user, in, len);
	}
}

int main(int argc, char **argv)
{
	static struct lws_protocols protocols[] = {
		{ "echo", echo, sizeof(struct session), 0, 0, NULL, 0 },
		{ NULL, NULL, 0, 0, 0, NULL, 0 },
	};
	static struct lws_http_mount mount = { .mountpoint = "/", .mountpoint_len = 1, .origin_protocol = LWSMPRO_FILE };
	struct lws_context_creation_info info;
	struct lws_context *context;

	if (argc < 3)
		return 2;
	memset(&info, 0, sizeof info);
	info.port = atoi(argv[1]);
	info.iface = "127.0.0.1";
	protocols[0].rx_buffer_size = strtoul(argv[2], NULL, 10);
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "-broadcast")) {
			broadcast = 1;
			continue;
		}
		mount.origin = argv[i];
		info.mounts = &mount;
	}
	info.protocols = protocols;
	info.pt_serv_buf_size = 64 * 1024;
	lws_set_log_level(LLL_ERR, NULL);
	context = lws_create_context(&info);
	if (!context)
		return 1;
	while (lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);
	return 0;
}
