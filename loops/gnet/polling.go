//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && !poll_opt

package gnetloop

import "github.com/panjf2000/gnet/v2/pkg/netpoll"

const pollOpt = false

func polling(p *netpoll.Poller, f netpoll.PollEventHandler) error { return p.Polling(f) }
