package core

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// lookups is the engine's pool of goroutines that resolve names, and the context
// that ends them all.
type lookups struct {
	*workers
	resolver Resolver
	ctx      context.Context
	end      context.CancelFunc
}

func newLookups(cfg *Config, l *Limits) lookups {
	n := lookups{workers: newWorkers(l.Lookups, l.WorkQueue), resolver: cfg.Resolver}
	if n.resolver == nil {
		n.resolver = net.DefaultResolver
	}
	n.ctx, n.end = context.WithCancel(context.Background())
	return n
}

// stop ends what runs, refuses new work and calls idle when all is over.
func (n *lookups) stop(idle func()) {
	n.end()
	n.workers.stop(idle)
}

var (
	errNoHost      = errors.New("no host name")
	errNoAddresses = errors.New("the name has no address that can be used")
)

// lookup resolves a name on a goroutine of the pool, and says what came out on
// the thread. cancel ends it early; then may still be called.
func (th *Thread) lookup(network, name string, then func([]netip.Addr, error)) (cancel context.CancelFunc, err error) {
	n := &th.eng.names
	ctx, cancel := context.WithCancel(n.ctx)
	err = n.do(func() {
		var addrs []netip.Addr
		err := ctx.Err()
		if err == nil {
			addrs, err = n.ask(ctx, network, name)
		}
		th.force(func() { then(addrs, err) })
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return cancel, nil
}

// ask calls the resolver, whose panic is an error.
func (n *lookups) ask(ctx context.Context, network, name string) (addrs []netip.Addr, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{"LookupNetIP", v}
		}
	}()
	return n.resolver.LookupNetIP(ctx, network, name)
}

// lookupError makes the error of a lookup say which name it was about.
func lookupError(name string, err error) error {
	var d *net.DNSError
	if errors.As(err, &d) {
		return err // says so itself
	}
	return fmt.Errorf("lookup %s: %w", name, plain{err})
}

// passing reports whether a lookup may come out better if it is tried again.
func passing(err error) bool {
	var d *net.DNSError
	if errors.As(err, &d) && d.IsNotFound {
		return false
	}
	var t interface{ Temporary() bool }
	var o interface{ Timeout() bool }
	return errors.As(err, &t) && t.Temporary() || errors.As(err, &o) && o.Timeout() || errors.Is(err, ErrFull)
}

// loopbackName reports whether a name is this machine's own, whatever a
// resolver knows (RFC 6761 6.3).
func loopbackName(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// loopbackAddrs are what such a name means where no resolver knows it.
func loopbackAddrs() []netip.Addr {
	return []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
}

// literal returns the address that host is, if it is none to be looked up.
func literal(host string) (netip.Addr, bool) {
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	a, err := netip.ParseAddr(host)
	return a.Unmap(), err == nil
}

// takeTurns puts addresses in the order in which they are tried: the families
// take turns, IPv6 first, each in the order of the resolver (RFC 8305 4). What
// is there twice, or is of another family than asked for, is left out.
func takeTurns(addrs []netip.Addr, family int) []netip.Addr {
	var six, four, out []netip.Addr
	seen := make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		a = a.Unmap()
		if !a.IsValid() || seen[a] || family != 0 && familyOf(a) != family {
			continue
		}
		seen[a] = true
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	out = slices.Grow(out, len(six)+len(four))
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			out = append(out, six[i])
		}
		if i < len(four) {
			out = append(out, four[i])
		}
	}
	return out
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}
