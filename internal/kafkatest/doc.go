// Package kafkatest gives tests a broker to talk to: the embedded one by default, or the Apache Kafka named in the
// environment variable TASKLANE_TEST_BROKERS (a comma list of host:port), so that one test body runs on both. Tests
// share that cluster, so each must put its own Prefix before the names of its topics and groups.
package kafkatest
