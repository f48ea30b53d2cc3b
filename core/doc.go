// Package core is anyloop's protocol core: WebSocket, HTTP/1.1 and adopted
// descriptors inside any event loop. It knows no epoll, no gnet and no evio; it
// talks to a loop through the three calls of package loop.
//
// # The shape
//
// An [Engine] has vhosts, and one or more service threads. A [Thread] has one
// loop, and everything that belongs to the connections it serves. A [Conn] is
// what a handler sees; below it a link owns the descriptor, and a role is what
// the link speaks (listen, h1, ws, raw, client, file, wake). A connection lives on one
// thread and its callbacks never overlap.
//
// # The three rules
//
//   - You write when you are handed a writer. Ask with Conn.RequestWritable;
//     Writable comes when the peer can take more, and takes one write. Nothing is
//     queued without bound on anybody's behalf.
//   - A []byte that is lent to you is yours until the callback returns.
//   - Everything about a connection happens on its thread. From elsewhere: Post,
//     Wake, Outbox.SendFrom, Group.Send, Stop, Shutdown, Done, Stats.
//
// # A life
//
//	FilterConn                     before anything is made
//	Protocol.HTTP, Request, Body*, BodyDone, Writable*  per request; Closed when
//	                               the next request hits another mount
//	Protocol.FilterWS, Protocol.WS, Opened, Receive*, Writable*, Pong*, Timer*,
//	PeerClose, Closed              a WebSocket
//	Protocol.WS, Connected, then as above; or ConnectFailed and nothing else
//	                               a WebSocket that Dial began
//	TLS.Info, TLS.VerifyClient     around a TLS handshake, before all of these
//	Protocol.File, Readable*, Writable*, Closed          an adopted descriptor
//	Protocol.Raw, Opened, Receive*, Writable*, Timer*, PeerEnd, Closed
//	                               a raw connection (RawOnly, RawFallback, AdoptRaw)
//	Protocol.Init, WaitCancelled*, Destroy               a protocol on a vhost
//
// Closed comes exactly once, last, iff a handler was made and its connection was
// open.
//
// What a handler returns decides: nil goes on; a [CloseError] does the closing
// handshake with its code; [ErrDrop] closes without a word; anything else closes
// with 1011, or status 500 if no response head is written.
//
// # Service threads
//
// Config.Threads service threads share nothing on the way of a message. Each has
// its own loop, connections, timers, buffers, header pool and limits ("per
// service thread" in [Limits]). One listening socket serves all: an accepted
// connection goes to the thread with the fewest (Config.ReusePort opens a socket
// per thread instead), and stays there. A thread is not tied to an operating-
// system thread or a goroutine, but its calls must not overlap; one goroutine may
// turn several.
//
// What a protocol keeps per vhost (made in Protocol.Init) is seen by the handlers
// of all threads, and by WaitCancelled, which runs once on each: with more than one
// thread it needs a lock of your own, or a home thread that the others post to.
// What a handler value keeps needs none. Do not hold a lock over a call that
// posts to the same thread and waits for it; nothing in this package does.
//
// # For those who know libwebsockets
//
//	lws_context, lws_create_context      Engine, New
//	lws_vhost, lws_create_vhost          VHost (its description), VirtualHost, Engine.AddVHost
//	struct lws_protocols                 Protocol
//	wsi                                  Conn
//	pss (per-session storage)            the handler value
//	vhd (per-vhost storage)              what Protocol.Init keeps
//	tsi, pt                              Thread
//	lws_service_fd                       Thread.ServiceFD
//	lws_service_adjust_timeout           Thread.AdjustTimeout
//	lws_service_tsi(ctx, -1, tsi)        Thread.ServicePending
//	lws_cancel_service                   Engine.Wake, Thread.Wake
//	LWS_CALLBACK_EVENT_WAIT_CANCELLED    Protocol.WaitCancelled
//	lws_callback_on_writable             Conn.RequestWritable
//	..._all_protocol_vhost               VirtualHost.RequestWritable
//	..._all_protocol                     Engine.RequestWritable
//	LWS_CALLBACK_SERVER_WRITEABLE        WSHandler.Writable
//	LWS_CALLBACK_RECEIVE                 WSHandler.Receive
//	LWS_CALLBACK_ESTABLISHED             WSOpener.Opened
//	LWS_CALLBACK_CLOSED, CLOSED_HTTP     ClosedHandler.Closed
//	LWS_CALLBACK_RECEIVE_PONG            WSPonger.Pong
//	LWS_CALLBACK_WS_PEER_INITIATED_CLOSE PeerCloser.PeerClose
//	LWS_CALLBACK_HTTP, HTTP_BODY, ...    HTTPHandler.Request, BodyHandler
//	LWS_CALLBACK_FILTER_NETWORK_CONNECTION    Config.FilterConn
//	LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION   Protocol.FilterWS
//	LWS_CALLBACK_PROTOCOL_INIT, DESTROY  Protocol.Init, Destroy
//	LWS_CALLBACK_TIMER, lws_set_timer_usecs   TimerHandler.Timer, Conn.SetTimer
//	LWS_CALLBACK_RAW_RX_FILE             FileHandler.Readable
//	LWS_CALLBACK_RAW_ADOPT               RawOpener.Opened
//	LWS_CALLBACK_RAW_RX, RAW_WRITEABLE   RawHandler.Receive, RawHandler.Writable
//	LWS_CALLBACK_RAW_CLOSE               ClosedHandler.Closed
//	listen_accept_role "raw-skt"         VHost.RawOnly, VHost.RawFallback
//	LWS_CALLBACK_ADD_POLL_FD, ...        loop.Loop.AddPollFD, ... (see loops/external)
//	lws_rx_flow_control                  Conn.Pause, Conn.Resume
//	lws_write                            WSWriter, HTTPWriter, RawWriter, File.Write
//	lws_close_reason and return -1       return &CloseError{...}, or Conn.Close
//	lws_is_first_fragment, ..._final_... Fragment.First, Final
//	lws_remaining_packet_payload         Fragment.Remaining
//	lws_send_pipe_choked                 Conn.Pending
//	lws_adopt_descriptor_vhost           Thread.AdoptFile, Thread.AdoptSocket, Thread.AdoptRaw
//	lws_adopt_socket_readbuf             Thread.AdoptSocket with early bytes
//	lws_client_connect_via_info          Thread.Dial
//	LWS_CALLBACK_CLIENT_ESTABLISHED      Connector.Connected
//	LWS_CALLBACK_CLIENT_CONNECTION_ERROR ConnectFailer.ConnectFailed
//	LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH  Dial.Check
//	LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER  Dial.Header
//	LWS_CALLBACK_CONFIRM_EXTENSION_OKAY  Protocol.Deflate
//	lws_set_extension_option             Conn.TuneDeflate
//	lws_retry_bo_t, lws_retry_get_delay_ms  Backoff
//	lws_sul_schedule                     Thread.AfterFunc
//	info.ssl_cert_filepath, ..._mem      TLS.CertFile, Cert, Config, Load
//	OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS  TLS.Load, ClientCAs
//	OPENSSL_PERFORM_CLIENT_CERT_VERIFICATION  TLS.VerifyClient
//	lws_tls_cert_updated                 VirtualHost.ReloadTLS
//	ssl_info_event_mask, SSL_INFO        TLS.Info
//	lws_init_vhost_client_ssl            VHost.ClientTLS, which needs no call
//	LCCSCF_ALLOW_SELFSIGNED, ...         ClientTLS.AllowSelfSigned, ...
//	ALLOW_NON_SSL_ON_SSL_PORT, REDIRECT_HTTP_TO_HTTPS  TLS.Plain
//	VHOST_UPG_STRICT_HOST_CHECK          VHost.StrictHost
//	simultaneous_ssl_handshake_restriction  Limits.Handshakes
//	info.foreign_loops                   a foreign Backend (see loops/*)
//	info.count_threads, get_count_threads Config.Threads, Engine.Threads
//	lws_get_tsi                          Conn.Thread, Thread.Index
//	lws_validity_confirmed               Conn.ConfirmValid
//	lws_context_destroy                  Engine.Stop, Shutdown, Done
//	LWS_PRE                              not needed: framing never touches your buffer
package core
