package main

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/aiecs/tasklane/cmd/tasklane/setup"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// The default addresses.
const (
	defaultAPIAddr      = "127.0.0.1:8080"
	defaultNotifierAddr = "127.0.0.1:8000"
	defaultBrokerAddr   = "127.0.0.1:9092"
	defaultMetricsAddr  = "127.0.0.1:8081"
)

// settings are the flags of the roles. Each command has those it needs; one
// that is shared means the same everywhere.
type settings struct {
	dataDir           string
	artifactsDir      string
	artifactsS3       string
	artifactsUser     config.Bytes // 0 if not given
	brokers           []string
	topicPrefix       string
	partitions        int
	replicationFactor int
	lanes             []string

	apiAddr, notifierAddr, brokerAddr, metricsAddr string
	workerListen                                   string
	webhookSecretFile                              string
	webhookAllow                                   []string
	allowedOrigins                                 string
	insecure                                       bool
	auth                                           authFlags
	kafkaSecurity                                  securityFlags
	configFile                                     setup.Flags

	ringBytes int
	ringAge   time.Duration

	slotsFast, slotsHeavy        int
	sessionTimeout, drainTimeout time.Duration
	sessionTimeoutGiven          bool
	groupProtocol                string
	staticMembership             bool
	stallTimeout                 time.Duration
	shortWait                    time.Duration
	evictBlockers                bool
	deadLetterFailures           string
	softTimeLimit, timeLimit     time.Duration
	// For every lane, or as lane=value for one.
	maxPerUser, maxPerService []string
	ordering, heartbeatLimit  []string
	debugServices             bool
	debugServicesGiven        bool
	debugTrace                string
}

func (s *settings) addDataDir(flags *pflag.FlagSet) {
	flags.StringVar(&s.dataDir, "data-dir", "data", "directory of the instance id and all local state")
}

func (s *settings) addArtifacts(flags *pflag.FlagSet) {
	flags.StringVar(&s.artifactsDir, "artifacts-dir", "",
		"directory of artifacts, which the API and processors on this machine share; DATA-DIR/artifacts if not given")
	flags.StringVar(&s.artifactsS3, "artifacts-bucket", "",
		"bucket of a store that speaks S3 for artifacts: https://HOST/BUCKET/PREFIX?region=REGION; "+
			"keys as AWS' tools have them")
	flags.Var(&s.artifactsUser, "artifacts-max-user-bytes",
		"room for the artifacts of one user, for example 500MiB; 10GiB if not given")
}

func (s *settings) addKafka(flags *pflag.FlagSet, brokers string) {
	var none []string
	if brokers != "" {
		none = []string{brokers}
	}
	flags.StringSliceVar(&s.brokers, "brokers", none, "Kafka brokers, host:port, comma separated")
	s.kafkaSecurity.addTo(flags)
	flags.StringVar(&s.topicPrefix, "topic-prefix", "", "put before the name of every topic and group")
}

func (s *settings) addTopology(flags *pflag.FlagSet) {
	flags.StringSliceVar(&s.lanes, "lanes", []string{schemas.LaneFast, schemas.LaneHeavy},
		"lanes, comma separated; name=N gives a lane N slots")
	flags.IntVar(&s.partitions, "partitions", 0, "partitions of the lanes and task-events; 0 takes what is there, else 8")
	flags.IntVar(&s.replicationFactor, "replication-factor",
		0, "replicas of topics that are created; 0 is 3 where there are three brokers, else 1")
}

func (s *settings) addEdge(flags *pflag.FlagSet) {
	flags.StringVar(&s.allowedOrigins, "cors-allowed-origins", "",
		"web pages that may connect, comma separated origins or * [$TASKLANE_CORS_ALLOWED_ORIGINS, $CORS_ALLOWED_ORIGINS]")
	flags.BoolVar(&s.insecure, "insecure", false, "listen on addresses that other machines can reach, with auth off")
	s.auth.addTo(flags)
}

func (s *settings) addAPI(flags *pflag.FlagSet) {
	flags.StringVar(&s.apiAddr, "api-addr", defaultAPIAddr, "address of the API; port 0 picks a free one")
}

func (s *settings) addNotifier(flags *pflag.FlagSet) {
	flags.StringVar(&s.notifierAddr, "notifier-addr", defaultNotifierAddr,
		"address of the notifier; port 0 picks a free one")
	flags.IntVar(&s.ringBytes, "ring-bytes", notifier.DefaultRingBytes,
		"bytes of the newest events that the notifier keeps for clients that come back; 0 keeps none")
	flags.DurationVar(&s.ringAge, "ring-age", notifier.DefaultRingAge, "how long the notifier keeps them at most")
	s.auth.addTickets(flags)
}

func (s *settings) addWebhooks(flags *pflag.FlagSet) {
	flags.StringVar(&s.webhookSecretFile, "webhook-secret-file", "",
		"file with the secret that signs webhooks, one a line while it is changed; without it none are sent")
	flags.StringSliceVar(&s.webhookAllow, "webhook-allow", nil,
		"addresses and ranges that webhooks may go to although they are not public, such as 10.1.0.0/16")
}

func (s *settings) addBroker(flags *pflag.FlagSet) {
	flags.StringVar(&s.brokerAddr, "broker-addr", defaultBrokerAddr,
		"address of the embedded broker; port 0 picks a free one")
}

func (s *settings) addWorker(flags *pflag.FlagSet) {
	s.slotsFast, s.slotsHeavy = processor.DefaultSlots, processor.DefaultSlots
	flags.StringVar(&s.workerListen, "worker-listen", "",
		"address where the workers of remote services ask for tasks, for example 127.0.0.1:8090; port 0 picks a free one")
	flags.Var((*slotsFlag)(&s.slotsFast), "slots-fast",
		"tasks of lane fast that run at once [$TASKLANE_SLOTS_FAST, $CELERY_WORKER_CONCURRENCY]")
	flags.Var((*slotsFlag)(&s.slotsHeavy), "slots-heavy",
		"tasks of lane heavy that run at once [$TASKLANE_SLOTS_HEAVY, $CELERY_WORKER_CONCURRENCY]")
	flags.DurationVar(&s.sessionTimeout, "session-timeout", 10*time.Second,
		"after how long a silent processor's tasks go to another")
	flags.DurationVar(&s.drainTimeout, "drain-timeout", 10*time.Second,
		"how long running tasks may go on when the processor stops")
	flags.StringVar(&s.groupProtocol, "group-protocol", "classic",
		"who shares the partitions: classic, or consumer for the broker (KIP-848, Apache Kafka 4.0 or newer)")
	flags.BoolVar(&s.staticMembership, "static-membership", false,
		"keep this instance's partitions for it over a restart, for the session timeout")
	flags.DurationVar(&s.shortWait, "short-wait", 5*time.Second,
		"the longest wait, of a retry or not_before, that is spent in the run queue; longer ones go to tasks.scheduled")
	flags.DurationVar(&s.stallTimeout, "stall-timeout", time.Minute,
		"end with an error when tasks wait beside free slots, or a journal is not heard, for so long; 0 never does")
	flags.BoolVar(&s.evictBlockers, "evict-blockers", true,
		"fail a task that alone holds up its partition's full read-ahead")
	flags.StringVar(&s.deadLetterFailures, "dead-letter-failures", "exhausted",
		"service errors that become dead letters: none, exhausted (those of the last attempt) or all")
	flags.DurationVar(&s.softTimeLimit, "task-soft-time-limit", 0,
		"time limit that a task can react to, 5m or the hard one if not given [$TASKLANE_TASK_SOFT_TIME_LIMIT, "+
			"$CELERY_TASK_SOFT_TIME_LIMIT in seconds]")
	flags.DurationVar(&s.timeLimit, "task-time-limit", 0,
		"hard time limit of tasks that have none, 10m if not given [$TASKLANE_TASK_TIME_LIMIT, "+
			"$CELERY_TASK_TIME_LIMIT in seconds]")
	flags.StringSliceVar(&s.maxPerUser, "max-per-user", nil,
		"tasks of one user that run at once in a lane, 0 for no cap; fast=2,heavy=1 says it for each lane")
	flags.StringSliceVar(&s.maxPerService, "max-per-service", nil,
		"tasks of one service that run at once in a lane, 0 for no cap; fast=8,heavy=2 says it for each lane")
	flags.StringSliceVar(&s.ordering, "ordering", nil,
		"user runs a user's tasks one at a time, in order, none (the default) does not; heavy=user says it for one lane")
	flags.StringSliceVar(&s.heartbeatLimit, "heartbeat-limit", nil,
		"ends tasks that report nothing for so long, 0 for never; heavy=1m says it for one lane")
	flags.BoolVar(&s.debugServices, "debug-services", false,
		"offer the service debug/echo; if not given, with auth off where all addresses are loopback")
	flags.StringVar(&s.debugTrace, "debug-trace", "",
		"file to which debug/echo appends a line for every start of a task; none if not given")
}

// note takes down which flags were given, where their default depends on
// others.
func (s *settings) note(flags *pflag.FlagSet) {
	s.debugServicesGiven = flags.Changed("debug-services")
	s.sessionTimeoutGiven = flags.Changed("session-timeout")
}

func (s *settings) topics() schemas.Topics { return schemas.Topics{Prefix: s.topicPrefix} }

// workerLanes are the lanes with their slots.
func (s *settings) workerLanes() ([]processor.Lane, error) {
	var lanes []processor.Lane
	for _, text := range s.lanes {
		name, slots, given := strings.Cut(strings.TrimSpace(text), "=")
		lane := processor.Lane{Name: name, Slots: s.slotsOf(name)}
		if given {
			n, err := strconv.Atoi(slots)
			if err != nil {
				return nil, cli.Usagef("--lanes %q: want name=N with a number of slots, for example gpu=2", text)
			}
			lane.Slots = n
		}
		if lane.Slots < 1 {
			return nil, cli.Usagef("lane %s has %d slots: give it at least 1", name, lane.Slots)
		}
		if err := s.refine(&lane); err != nil {
			return nil, err
		}
		lanes = append(lanes, lane)
	}
	if err := schemas.CheckLanes(laneNames(lanes)); err != nil {
		return nil, cli.AsUsage(err)
	}
	return lanes, nil
}

func (s *settings) slotsOf(lane string) int {
	switch {
	case lane == schemas.LaneFast && s.slotsFast != 0:
		return s.slotsFast
	case lane == schemas.LaneHeavy && s.slotsHeavy != 0:
		return s.slotsHeavy
	}
	return processor.DefaultSlots
}

func laneNames(lanes []processor.Lane) []string {
	names := make([]string, len(lanes))
	for i, lane := range lanes {
		names[i] = lane.Name
	}
	return names
}

// limits are the soft and hard limits; a soft one given alone moves the hard
// one behind it, as Celery had no hard limit then.
func (s *settings) limits() (soft, hard time.Duration) {
	soft, hard = s.softTimeLimit, s.timeLimit
	if hard == 0 && soft >= schemas.DefaultTimeLimit {
		hard = soft + 30*time.Second
	}
	return soft, hard
}

func (s *settings) topology() (topology.Spec, error) {
	lanes, err := s.workerLanes()
	if err != nil {
		return topology.Spec{}, err
	}
	t := topology.Spec{
		Topics: s.topics(), Lanes: laneNames(lanes), Partitions: s.partitions, ReplicationFactor: s.replicationFactor,
	}
	return t, cli.AsUsage(t.Validate())
}

// wantDebug decides about the debug services: what was said counts, else they are
// there where nobody else's machine is involved, and nobody has to prove who they are:
// with auth on a reverse proxy may bring anybody, and a task can end the process.
func (s *settings) wantDebug(addresses ...string) bool {
	if s.debugServicesGiven {
		return s.debugServices
	}
	if s.auth.config().On() {
		return false
	}
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		ip := net.ParseIP(host)
		if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// brokerDir is where the embedded broker's data lives.
func (s *settings) brokerDir() string { return filepath.Join(s.dataDir, "broker") }
