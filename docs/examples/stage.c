/* Tells BenchLab when frames reach a stage. The protocol is in docs/STAGES.md.
 *
 *   cc -O2 -o stage stage.c
 *   ./stage /run/benchlab/stage.sock 100      two stages of each of 100 frames
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int sock = -1;
static uint64_t seq;

/* Open the way to the collector; 0 if it is there. */
static int stages_open(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof to.sun_path)
		return -1;
	strcpy(to.sun_path, path);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return connect(sock, (struct sockaddr *)&to, sizeof to);
}

/* One line, one datagram. It never waits: a line that finds no room is lost, and the number of the next one
 * shows it. Call it from one thread, or under a lock, so that numbers are sent in their order. */
static void stage(const char *name, uint64_t frame)
{
	char line[256];
	struct timespec now;
	int size;

	clock_gettime(CLOCK_BOOTTIME, &now);
	size = snprintf(line, sizeof line,
			"{\"seq\":%" PRIu64 ",\"boottime_ns\":%" PRIu64 ",\"stage\":\"%s\",\"frame\":%" PRIu64 "}\n",
			++seq, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, name, frame);
	if (size > 0 && (size_t)size < sizeof line)
		(void)!send(sock, line, (size_t)size, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
	uint64_t frames = argc > 2 ? strtoull(argv[2], NULL, 10) : 10;

	if (argc < 2 || stages_open(argv[1]) < 0) {
		perror(argc < 2 ? "usage: stage SOCKET [FRAMES]" : argv[1]);
		return 1;
	}
	for (uint64_t frame = 0; frame < frames; frame++) {
		stage("ingress", frame);
		usleep(1000); /* the work */
		stage("encoded", frame);
		usleep(1000);
	}
	return 0;
}
