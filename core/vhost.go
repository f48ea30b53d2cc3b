package core

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"anyloop/core/h1"
)

// VirtualHost is a running vhost.
type VirtualHost struct {
	eng         *Engine
	name        string
	cfg         VHost
	limits      Limits
	log         *slog.Logger
	site        *site // nil: not listening
	bindings    []*binding
	byName      map[string]*binding
	mounts      []*mounted
	plain       *binding               // for WebSockets without a subprotocol
	anyWS       *binding               // for subprotocols that nobody has
	none        binding                // of conns that are bound to no protocol yet
	rawOnly     *binding               // for every connection
	rawFallback *binding               // for those that do not speak HTTP
	outKinds    [CloseSlow + 1]outKind // by policy
	wsLimits    wsLimits
	zLimits     wsLimits  // with compression
	tls         *vhostTLS // nil: none
	client      lazyTLS   // of Dial
	zip         *Deflate  // nil: no compression
	zMemory     atomic.Int64
	h1Limits    h1.Limits
	refs        atomic.Int32 // conns
	leaving     atomic.Bool  // Remove was called
	removed     atomic.Bool  // and the address does not lead to it any more
	gone        atomic.Bool
}

// binding is one protocol on one vhost; conns are bound to it.
type binding struct {
	vh     *VirtualHost
	proto  *Protocol // nil: VirtualHost.none
	inited bool
	lists  []*Conn // rings, by thread: newest first, those that were told of Remove behind the others
}

// mounted is a mount with its path and protocol resolved.
type mounted struct {
	Mount
	bind *binding // for callback mounts
}

// Name returns the vhost's name. Any goroutine.
func (vh *VirtualHost) Name() string { return vh.name }

// Addr returns the address it listens on, with the port that was chosen for
// ":0"; "" if it does not listen. Any goroutine.
func (vh *VirtualHost) Addr() string {
	return vh.site.address()
}

// Log returns the vhost's logger. Any goroutine.
func (vh *VirtualHost) Log() *slog.Logger { return vh.log }

// Limits returns the limits in force. Any goroutine.
func (vh *VirtualHost) Limits() Limits { return vh.limits }

// Engine returns the engine. Any goroutine.
func (vh *VirtualHost) Engine() *Engine { return vh.eng }

// VHost returns the vhost of that name, nil if there is none: what adopts or dials for
// it then says ErrNoVHost. Any goroutine.
func (e *Engine) VHost(name string) *VirtualHost {
	for _, vh := range e.vhosts() {
		if strings.EqualFold(vh.name, name) {
			return vh
		}
	}
	return nil
}

func (e *Engine) vhosts() []*VirtualHost {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.vhs
}

// AddVHost adds a vhost to a running engine; its protocols' Init runs before it
// returns, and before its first connection. With several service threads its
// listening socket joins its loop a moment later. Loop thread only, any of the
// engine's threads.
func (e *Engine) AddVHost(cfg VHost) (*VirtualHost, error) {
	if e.stopping.Load() {
		return nil, ErrStopped
	}
	return e.addVHost(cfg)
}

func (e *Engine) addVHost(cfg VHost) (*VirtualHost, error) {
	vh := e.newVHost(cfg)
	if err := e.bringUp(vh); err != nil {
		return nil, fmt.Errorf("core: vhost %q: %w", vh.name, err)
	}
	e.mu.Lock()
	e.vhs = append(slices.Clone(e.vhs), vh)
	e.mu.Unlock()
	return vh, nil
}

func (e *Engine) newVHost(cfg VHost) *VirtualHost {
	vh := &VirtualHost{eng: e, name: cfg.Name, cfg: cfg, limits: cfg.Limits.or(e.cfg.Limits).complete(e.limits)}
	if vh.name == "" {
		vh.name = "default"
	}
	vh.none.vh, vh.none.lists = vh, make([]*Conn, len(e.threads))
	for p := range vh.outKinds {
		vh.outKinds[p] = newOutKind(&vh.limits, Policy(p), nil)
	}
	vh.log = vhostLog(e.log, cfg).With("vhost", vh.name)
	vh.wsLimits = newWSLimits(&vh.limits)
	vh.zLimits = vh.wsLimits
	vh.zLimits.RSV1 = true
	vh.h1Limits = h1.Limits{MaxLine: vh.limits.RequestLine, MaxHeader: vh.limits.HeaderBytes,
		MaxFields: vh.limits.HeaderFields, MaxBody: vh.limits.MaxBody}
	return vh
}

// bringUp checks what vh was asked for and lets it have its connections.
func (e *Engine) bringUp(vh *VirtualHost) error {
	if e.VHost(vh.name) != nil {
		return errors.New("two vhosts have this name")
	}
	for _, prepare := range []func() error{vh.checkLimits, vh.bindProtocols, vh.addMounts, vh.bindRaw, vh.addOrigins, vh.addDeflate, vh.addTLS} {
		if err := prepare(); err != nil {
			return err
		}
	}
	socks, err := e.listen(vh)
	if err != nil {
		return err
	}
	if e.started.Load() {
		if vh.init(); vh.leaving.Load() {
			vh.site.closeSocks(socks)
			return errors.New("removed by an Init of its own")
		}
	}
	if err := e.serve(vh, socks); err != nil {
		vh.leaving.Store(true) // nothing comes to it any more
		vh.destroy()
		return err
	}
	return nil
}

func (vh *VirtualHost) addDeflate() error {
	if vh.cfg.Deflate == nil {
		return nil
	}
	d, err := vh.cfg.Deflate.settled()
	vh.zip = &d
	return err
}

func (vh *VirtualHost) addTLS() (err error) {
	if vh.cfg.TLS != nil {
		if vh.tls, err = newVHostTLS(vh, vh.cfg.TLS); err != nil {
			return err
		}
	}
	if vh.cfg.ClientTLS != nil {
		_, err = vh.client.get(vh.cfg.ClientTLS)
	}
	return err
}

func (vh *VirtualHost) bindProtocols() error {
	vh.byName = map[string]*binding{}
	protos := slices.Clone(vh.cfg.Protocols)
	for i := range protos {
		p := &protos[i]
		if p.WS == nil && p.HTTP == nil && p.File == nil && p.Raw == nil {
			return fmt.Errorf("protocol %q has no handler", p.Name)
		}
		if vh.byName[p.Name] != nil {
			return fmt.Errorf("two protocols are named %q", p.Name)
		}
		b := &binding{vh: vh, proto: p, lists: make([]*Conn, len(vh.eng.threads))}
		vh.bindings = append(vh.bindings, b)
		vh.byName[p.Name] = b
		if p.WS != nil {
			if vh.plain == nil && (vh.cfg.DefaultProtocol == "" || vh.cfg.DefaultProtocol == p.Name) {
				vh.plain = b
			}
			if vh.anyWS == nil && p.AnyName {
				vh.anyWS = b
			}
		}
	}
	if d := vh.cfg.DefaultProtocol; d != "" && d != "-" && vh.plain == nil {
		return fmt.Errorf("DefaultProtocol %q: %w with WS", d, plain{ErrUnknownProtocol})
	}
	return nil
}

func (vh *VirtualHost) addMounts() error {
	for _, m := range vh.cfg.Mounts {
		if !strings.HasPrefix(m.Path, "/") {
			return fmt.Errorf("mount %q does not begin with a slash", m.Path)
		}
		if len(m.Path) > 1 {
			m.Path = strings.TrimSuffix(m.Path, "/")
		}
		mt := &mounted{Mount: m}
		if m.HTTP == nil && !m.Hole {
			mt.bind = vh.byName[m.Protocol]
			if mt.bind == nil || mt.bind.proto.HTTP == nil {
				return fmt.Errorf("mount %q: protocol %q: %w with HTTP", m.Path, m.Protocol, plain{ErrUnknownProtocol})
			}
		}
		vh.mounts = append(vh.mounts, mt)
	}
	// Longest first; of equals, the exact one.
	slices.SortStableFunc(vh.mounts, func(a, b *mounted) int {
		if len(a.Path) != len(b.Path) {
			return len(b.Path) - len(a.Path)
		}
		if a.Exact != b.Exact {
			if a.Exact {
				return -1
			}
			return 1
		}
		return 0
	})
	return nil
}

// mountFor returns the mount that serves path, nil if none does.
func (vh *VirtualHost) mountFor(path []byte) *mounted {
	for _, m := range vh.mounts {
		n := len(m.Path)
		if len(path) == n && string(path) == m.Path || !m.Exact && m.Path == "/" ||
			!m.Exact && len(path) > n && path[n] == '/' && string(path[:n]) == m.Path {
			if m.Hole {
				return nil
			}
			return m
		}
	}
	return nil
}

// init runs the protocols' Init in order.
func (vh *VirtualHost) init() {
	for _, b := range vh.bindings {
		b.inited = true
		if b.proto.Init == nil {
			continue
		}
		if err := vh.guarded("Init", func() error { return b.proto.Init(vh) }); err != nil {
			b.inited = false
			vh.log.Warn("protocol not initialised; it is disabled on this vhost", "protocol", b.proto.Name, "err", err)
		}
	}
}

// guarded calls a function of a protocol that belongs to no connection, on
// whichever thread it is.
func (vh *VirtualHost) guarded(what string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			vh.eng.panics.Add(1)
			vh.log.Error("panic in a protocol", "callback", what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = &PanicError{what, v}
		}
	}()
	return fn()
}

// destroy runs Destroy of the protocols whose Init succeeded.
func (vh *VirtualHost) destroy() {
	if vh.gone.Swap(true) {
		return
	}
	for _, b := range vh.bindings {
		if b.inited && b.proto.Destroy != nil {
			vh.guarded("Destroy", func() error { b.proto.Destroy(vh); return nil })
		}
		b.inited = false
	}
}

func (vh *VirtualHost) unref() {
	if vh.refs.Add(-1) == 0 && vh.removed.Load() {
		vh.destroy()
	}
}

// setVHost moves c to vh; it is bound to none of vh's protocols yet.
func (c *Conn) setVHost(vh *VirtualHost) {
	if c.vh() != vh {
		c.bind(&vh.none)
	}
}

// vh returns the vhost that serves c, nil if there is none.
func (c *Conn) vh() *VirtualHost {
	if c.on == nil {
		return nil
	}
	return c.on.vh
}

// bound returns the protocol on its vhost that serves c, nil if there is none yet.
func (c *Conn) bound() *binding {
	if c.on == nil || c.on.proto == nil {
		return nil
	}
	return c.on
}

// bind puts c on b's ring, as the newest. It may come from another vhost.
func (c *Conn) bind(b *binding) {
	old := c.vh()
	if old != b.vh {
		b.vh.refs.Add(1)
		if old != nil {
			defer old.unref()
		}
	}
	c.unlist()
	th := c.link.th
	list := &b.lists[th.index]
	if first := *list; first != nil {
		c.next, c.prev = first, first.prev
		c.prev.next = c
		first.prev = c
	} else {
		c.next, c.prev = c, c
	}
	*list, c.on = c, b
	if b.vh.removed.Load() {
		th.part(b.vh)
	}
}

// unlist takes c off its ring.
func (c *Conn) unlist() {
	if c.on == nil {
		return
	}
	list := &c.on.lists[c.link.th.index]
	switch {
	case c.next == c:
		*list = nil
	case *list == c:
		*list = c.next
	}
	c.next.prev, c.prev.next = c.prev, c.next
	c.next, c.prev = nil, nil
	c.flags &^= cfTold
}

// unbind takes c off its protocol.
func (c *Conn) unbind() {
	if b := c.bound(); b != nil {
		c.bind(&b.vh.none)
	}
}

// leave takes a dead conn off its protocol and vhost.
func (c *Conn) leave() {
	if vh := c.vh(); vh != nil {
		c.unlist()
		c.on = nil
		vh.unref()
	}
}

// RequestWritable asks for one Writable callback on every conn that is bound to
// the named protocol on this vhost, newest first; on conns of other service
// threads by a post to them. Loop thread only.
func (vh *VirtualHost) RequestWritable(protocol string) error {
	b := vh.byName[protocol]
	if b == nil {
		return ErrUnknownProtocol
	}
	if threads := vh.eng.threads; len(threads) == 1 {
		b.askAll(threads[0])
		return nil
	}
	for _, th := range vh.eng.threads {
		if err := th.Post(func() { b.askAll(th) }); err != nil {
			return err
		}
	}
	return nil
}

// RequestWritable asks for one Writable callback on every conn of the named
// protocol on every vhost. Loop thread only.
func (e *Engine) RequestWritable(protocol string) error {
	err := ErrUnknownProtocol
	for _, vh := range e.vhosts() {
		if e := vh.RequestWritable(protocol); e == nil {
			if errors.Is(err, ErrUnknownProtocol) {
				err = nil
			}
		} else if !errors.Is(e, ErrUnknownProtocol) {
			return e
		}
	}
	return err
}

func (b *binding) askAll(th *Thread) {
	first := b.lists[th.index]
	for c := first; c != nil; {
		if c.Open() && !c.link.is(lfTxDead) {
			c.ask()
		}
		if c = c.next; c == first {
			return
		}
	}
}

func vhostLog(base *slog.Logger, cfg VHost) *slog.Logger {
	log := base
	if cfg.Log != nil {
		log = cfg.Log
	}
	if cfg.Level != nil {
		log = slog.New(levelHandler{log.Handler(), cfg.Level})
	}
	return log
}
