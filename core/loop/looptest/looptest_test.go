package looptest_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/sim"
	"anyloop/extpoll"
	"anyloop/loops/external"
	"anyloop/loops/poll"
)

func TestEpollOrKqueue(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host { return looptest.Host{Backend: poll.Backend()} })
}

func TestPoll2(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host {
		return looptest.Host{Backend: poll.Backend(poll.WithPoller(poll.Poll2))}
	})
}

// TestNested turns the loop by watching its one descriptor.
func TestNested(t *testing.T) {
	looptest.Run(t, func(t testing.TB) looptest.Host {
		b := poll.Backend(poll.Nested())
		return looptest.Host{Backend: b, Run: func(e *core.Engine) error {
			for e.Thread(0).Hosted() {
				fds := []unix.PollFd{{Fd: int32(b.Thread(0).FD()), Events: unix.POLLIN}}
				if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
					return err
				}
				if _, err := b.Thread(0).Pass(8); err != nil {
					return err
				}
			}
			return nil
		}}
	})
}

func TestExtpoll(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host {
		set := extpoll.New()
		return looptest.Host{Backend: set.Backend(), Run: func(e *core.Engine) error {
			for e.Thread(0).Hosted() {
				if err := set.Turn(-1, nil); err != nil {
					return err
				}
			}
			return nil
		}}
	})
}

// TestExternalSelect is an application's own loop in the shape of select(2): a
// table of descriptors, and pollfds made up from what it finds, without Events.
func TestExternalSelect(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host {
		table := map[int]loop.Events{}
		b := external.Backend(external.Hooks{
			Add:    func(fd int, ev loop.Events) error { table[fd] = ev; return nil },
			Change: func(fd int, _, next loop.Events) { table[fd] = next },
			Del:    func(fd int) { delete(table, fd) },
		})
		var svc loop.Service
		return looptest.Host{Backend: capture{b, &svc}, Run: func(e *core.Engine) error {
			for e.Thread(0).Hosted() {
				turnSelect(svc, table)
			}
			return nil
		}}
	})
}

// capture hands out the service that the backend was opened with.
type capture struct {
	loop.Backend
	svc *loop.Service
}

func (c capture) Open(n int, s loop.Service) (loop.Loop, error) {
	*c.svc = s
	return c.Backend.Open(n, s)
}

func turnSelect(s loop.Service, table map[int]loop.Events) {
	var fds []unix.PollFd
	for fd, ev := range table {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: int16(ev)})
	}
	n, err := unix.Poll(fds, loop.Millis(s.AdjustTimeout(-1)))
	for i := 0; err == nil && n > 0 && i < len(fds); i++ {
		if fds[i].Revents == 0 {
			continue
		}
		p := loop.PollFD{Fd: fds[i].Fd, Revents: fds[i].Revents}
		s.ServiceFD(&p)
	}
	s.ServicePending()
}

func TestMockKernel(t *testing.T) {
	looptest.Run(t, func(t testing.TB) looptest.Host { return looptest.Sim(sim.New(sim.Options{})) })
}
