/* A libnvidia-ml.so.1 without a GPU: every answer stands in a table that is read again whenever it has changed.

   The table is the file nvml.table beside the library. A line is: scope, key, value.
   The scope is the slot of a GPU, or * for all; the key is a function's name, "field.<id>", or one of those below.

     0 uuid GPU-aaaa                        there is a GPU; NVML's index is its rank among the slots
     0 name NVIDIA T4                       and this it is called; the same: pci, vbios
     0 nvmlDeviceGetPowerUsage 285500       what the call answers: one number or several
     0 field.83 5000+250@100                5000 at second 100 of CLOCK_BOOTTIME, 250 more every second
     0 nvmlDeviceGetFanSpeed !3             what the call returns instead
     0 nvmlDeviceGetTemperature hang        the call returns once this line is another one
     0 nvmlDeviceGetPcieThroughput.ms 20    how long the call takes
     0 lost 15                              what every call on this GPU returns
     0 xid 31 79                            errors so far; those after the registration are delivered, once each
     * nvmlInitWithFlags !9                 the same for calls that concern no GPU
     * driver 2                             which load of the driver this is: whoever began with another is uninitialised
     * kernel 550.54                        version of the kernel's part: a library of another version does not fit

   A call that is in no line is not supported. Calls are listed in <table>.calls if that file exists;
   without it a change is seen within a millisecond, and calls are cheap. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "535.183.01"
#endif

enum { OK, UNINITIALIZED, INVALID, NOT_SUPPORTED, NOT_FOUND = 6, TIMEOUT = 10, LOST = 15, MISMATCH = 18 };

#define ROWS 512
#define MOST_GPUS 16
#define NUMBERS 8

typedef struct { char scope[8], key[64], value[128]; } Row;
typedef struct { unsigned session; char uuid[96]; } Handle;
typedef struct { Handle *device[MOST_GPUS]; int seen[MOST_GPUS]; int n; } EventSet;
typedef struct { void *device; unsigned long long type, data; unsigned gi, ci; } EventData;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
typedef struct { unsigned id, scope; long long timestamp, latency; unsigned type; int code; unsigned long long value; } Field;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Row rows[ROWS];
static int row_count;
static struct stat seen;
static unsigned session, users, begun_with;
static int busy, is_noted;

static const char *table_path(void) {
    static __thread char path[4096];
    if (*path) return path;
    Dl_info self;
    dladdr((void *)table_path, &self);
    const char *slash = strrchr(self.dli_fname, '/');
    snprintf(path, sizeof path, "%.*s/nvml.table", slash ? (int)(slash - self.dli_fname) : 1, slash ? self.dli_fname : ".");
    return path;
}

static void read_table(void) { /* with the lock held */
    static long long looked_us;
    struct stat now;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    long long now_us = t.tv_sec * 1000000LL + t.tv_nsec / 1000;
    if (!is_noted && now_us - looked_us < 1000) return;
    looked_us = now_us;
    char calls[4200];
    snprintf(calls, sizeof calls, "%s.calls", table_path());
    is_noted = !access(calls, F_OK);
    if (stat(table_path(), &now) || (now.st_ino == seen.st_ino && now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec
                                     && now.st_mtim.tv_sec == seen.st_mtim.tv_sec)) return;
    FILE *file = fopen(table_path(), "r");
    char line[256];
    if (!file) return;
    for (row_count = 0; row_count < ROWS && fgets(line, sizeof line, file);) {
        Row *row = &rows[row_count];
        row_count += sscanf(line, "%7s %63s %127[^\n]", row->scope, row->key, row->value) == 3;
    }
    fclose(file);
    seen = now;
}

static int look_up(const char *scope, const char *key, char *value) {
    int found = 0;
    pthread_mutex_lock(&lock);
    read_table();
    for (int i = 0; i < row_count && !found; i++)
        if (!strcmp(rows[i].scope, scope) && !strcmp(rows[i].key, key)) strcpy(value, rows[i].value), found = 1;
    pthread_mutex_unlock(&lock);
    return found;
}

static long number(const char *scope, const char *key, long otherwise) {
    char value[128];
    return look_up(scope, key, value) ? strtol(value, NULL, 10) : otherwise;
}

static int slot_of(const char *uuid, char *slot) {
    int found = 0;
    pthread_mutex_lock(&lock);
    read_table();
    for (int i = 0; i < row_count && !found; i++)
        if (!strcmp(rows[i].key, "uuid") && !strcmp(rows[i].value, uuid)) strcpy(slot, rows[i].scope), found = 1;
    pthread_mutex_unlock(&lock);
    return found;
}

static int uuids(char found[MOST_GPUS][96]) {
    int n = 0;
    char slot[8];
    for (int i = 0; i < MOST_GPUS; i++) {
        snprintf(slot, sizeof slot, "%d", i);
        n += look_up(slot, "uuid", found[n]);
    }
    return n;
}

static void note(const char *word, const char *slot) {
    char path[4200], line[128];
    if (!is_noted) return;
    snprintf(path, sizeof path, "%s.calls", table_path());
    FILE *file = fopen(path, "a");
    int length = snprintf(line, sizeof line, "%s %s\n", word, slot);
    if (file && length > 0) fwrite(line, 1, length, file), fclose(file);
}

static unsigned long long current(const char *text) {
    unsigned long long base = 0, rate = 0, since = 0;
    if (sscanf(text, "%llu+%llu@%llu", &base, &rate, &since) < 3) return strtoull(text, NULL, 10);
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return base + (unsigned long long)(rate * (now.tv_sec - (double)since + now.tv_nsec * 1e-9));
}

/* What the table says to a key: a return code, and with OK its numbers. Waits where the call is slow or hangs. */
static int answer(const char *scope, const char *key, unsigned long long *numbers) {
    char value[128], slow[80], *rest = NULL;
    snprintf(slow, sizeof slow, "%s.ms", key);
    long slow_ms = number(scope, slow, 0);
    if (slow_ms) usleep(1000 * slow_ms);
    while (look_up(scope, key, value) && !strcmp(value, "hang")) usleep(5000);
    if (!look_up(scope, key, value)) return *scope == '*' ? OK : NOT_SUPPORTED;
    if (*value == '!') return atoi(value + 1);
    int n = 0;
    for (char *word = strtok_r(value, " ", &rest); word && n < NUMBERS; word = strtok_r(NULL, " ", &rest))
        numbers[n++] = current(word);
    return OK;
}

static int fits(void) {
    char kernel[128];
    if (look_up("*", "kernel", kernel) && strcmp(kernel, VERSION)) return MISMATCH;
    return OK;
}

static int alive(void) {
    if (!users || begun_with != number("*", "driver", 1)) return UNINITIALIZED;
    return fits();
}

/* A call on a GPU, by a key of the table. */
static int ask(void *device, const char *function, const char *key, unsigned long long *numbers) {
    Handle *handle = device;
    char slot[8] = "?";
    int code = alive();
    __sync_fetch_and_add(&busy, 1);
    if (!code && (!handle || handle->session != session)) code = INVALID;
    if (!code && !slot_of(handle->uuid, slot)) code = LOST;
    note(function, slot);
    if (!code) code = (int)number(slot, "lost", OK);
    if (!code) code = answer(slot, key, numbers);
    __sync_fetch_and_sub(&busy, 1);
    return code;
}

static int ask_all(const char *function) {
    unsigned long long numbers[NUMBERS] = {0};
    note(function, "*");
    return answer("*", function, numbers);
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int mismatch = fits(); /* first of all: this reads the table */
    int code = ask_all("nvmlInitWithFlags");
    if (!code) code = mismatch;
    if (code) return code;
    if (!users++) session++;
    begun_with = (unsigned)number("*", "driver", 1);
    return OK;
}

int nvmlShutdown(void) {
    note(busy ? "VIOLATION:shutdown-during-a-call" : "nvmlShutdown", "*");
    if (!users) return UNINITIALIZED;
    users--;
    return OK;
}

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    snprintf(version, length, "%s", VERSION);
    return alive();
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    char found[MOST_GPUS][96];
    int code = alive();
    if (!code) code = ask_all("nvmlDeviceGetCount_v2");
    *count = code ? 0 : uuids(found);
    return code;
}

static int handle_of(const char *uuid, void **device) {
    char slot[8];
    if (!slot_of(uuid, slot)) return NOT_FOUND;
    int code = (int)number(slot, "lost", OK);
    if (code) return code;
    Handle *handle = calloc(1, sizeof *handle);
    handle->session = session;
    snprintf(handle->uuid, sizeof handle->uuid, "%s", uuid);
    *device = handle;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    char found[MOST_GPUS][96];
    int code = alive();
    if (code) return code;
    if ((int)index >= uuids(found)) return INVALID;
    return handle_of(found[index], device);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    int code = alive();
    return code ? code : handle_of(uuid, device);
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
    unsigned long long numbers[NUMBERS];
    int code = ask(device, "nvmlDeviceGetUUID", "uuid", numbers);
    if (!code) snprintf(uuid, length, "%s", ((Handle *)device)->uuid);
    return code;
}

int nvmlDeviceGetIndex(void *device, unsigned *index) {
    char found[MOST_GPUS][96];
    int n = uuids(found), i = 0;
    while (i < n && strcmp(found[i], ((Handle *)device)->uuid)) i++;
    *index = i;
    return i < n ? alive() : LOST;
}

static int text(void *device, const char *key, char *out, unsigned length) {
    char slot[8], value[128];
    if (!slot_of(((Handle *)device)->uuid, slot) || !look_up(slot, key, value)) return NOT_SUPPORTED;
    snprintf(out, length, "%s", value);
    return alive();
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) { return text(device, "name", name, length); }

int nvmlDeviceGetVbiosVersion(void *device, char *out, unsigned length) { return text(device, "vbios", out, length); }

int nvmlDeviceGetPciInfo_v3(void *device, Pci *pci) { return text(device, "pci", pci->bus_id, sizeof pci->bus_id); }

#define NUMBER(function, type)                                     \
    int function(void *device, type *out) {                        \
        unsigned long long numbers[NUMBERS] = {0};                 \
        int code = ask(device, #function, #function, numbers);     \
        if (!code) *out = (type)numbers[0];                        \
        return code;                                               \
    }

#define TWO(function, type)                                        \
    int function(void *device, type *first, type *second) {        \
        unsigned long long numbers[NUMBERS] = {0};                 \
        int code = ask(device, #function, #function, numbers);     \
        if (!code) *first = (type)numbers[0], *second = (type)numbers[1]; \
        return code;                                               \
    }

#define CHOICE(function)                                           \
    int function(void *device, unsigned which, unsigned *out) {    \
        unsigned long long numbers[NUMBERS] = {0};                 \
        char key[64];                                              \
        snprintf(key, sizeof key, #function ".%u", which);         \
        int code = ask(device, key, key, numbers);                 \
        if (!code) *out = (unsigned)numbers[0];                    \
        return code;                                               \
    }

NUMBER(nvmlDeviceGetPowerUsage, unsigned)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned)
NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long)
NUMBER(nvmlDeviceGetFanSpeed, unsigned)
NUMBER(nvmlDeviceGetPerformanceState, unsigned)
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long)
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long)
NUMBER(nvmlDeviceGetSupportedEventTypes, unsigned long long)
TWO(nvmlDeviceGetEncoderUtilization, unsigned)
TWO(nvmlDeviceGetDecoderUtilization, unsigned)
TWO(nvmlDeviceGetCudaComputeCapability, int)
CHOICE(nvmlDeviceGetTemperature)
CHOICE(nvmlDeviceGetClockInfo)
CHOICE(nvmlDeviceGetPcieThroughput)

int nvmlDeviceGetUtilizationRates(void *device, unsigned *out) {
    unsigned long long numbers[NUMBERS] = {0};
    int code = ask(device, "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetUtilizationRates", numbers);
    if (!code) out[0] = (unsigned)numbers[0], out[1] = (unsigned)numbers[1];
    return code;
}

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *out) { /* total, free, used */
    unsigned long long numbers[NUMBERS] = {0};
    int code = ask(device, "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryInfo", numbers);
    if (!code) memcpy(out, numbers, 3 * sizeof *out);
    return code;
}

int nvmlDeviceGetMemoryInfo_v2(void *device, unsigned long long *out) { /* version, total, reserved, free, used */
    unsigned long long numbers[NUMBERS] = {0};
    int code = ask(device, "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo_v2", numbers);
    if (!code) memcpy(out + 1, numbers, 4 * sizeof *out);
    return code;
}

int nvmlDeviceGetFieldValues(void *device, int count, Field *fields) {
    unsigned long long numbers[NUMBERS] = {0};
    char key[32];
    char whole[128];
    int code = ask(device, "nvmlDeviceGetFieldValues", "lost", numbers); /* no line of its own: it is supported */
    if (code != NOT_SUPPORTED && code) return code;
    if (look_up("*", "nvmlDeviceGetFieldValues", whole)) return atoi(whole + 1);
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "field.%u", fields[i].id);
        fields[i].code = ask(device, key, key, numbers);
        fields[i].type = numbers[0] >> 32 ? 3 : 1;
        fields[i].value = numbers[0];
    }
    return OK;
}

int nvmlEventSetCreate(void **set) {
    int code = alive();
    if (!code) code = ask_all("nvmlEventSetCreate");
    if (!code) *set = calloc(1, sizeof(EventSet));
    return code;
}

int nvmlEventSetFree(void *set) {
    free(set);
    return OK;
}

static int errors_of(const char *uuid, unsigned long long *numbers) {
    char slot[8], value[128];
    int n = 0, width = 0;
    if (!slot_of(uuid, slot) || !look_up(slot, "xid", value)) return 0;
    for (char *at = value; n < NUMBERS && sscanf(at, "%llu%n", &numbers[n], &width) == 1; at += width) n++;
    return n;
}

int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *events) {
    unsigned long long numbers[NUMBERS] = {0};
    EventSet *set = events;
    int code = ask(device, "nvmlDeviceGetSupportedEventTypes", "nvmlDeviceGetSupportedEventTypes", numbers);
    if (code) return code;
    if (types & ~numbers[0]) return NOT_SUPPORTED;
    set->device[set->n] = device;
    set->seen[set->n++] = errors_of(((Handle *)device)->uuid, numbers);
    return OK;
}

int nvmlEventSetWait_v2(void *events, EventData *data, unsigned timeout_ms) {
    EventSet *set = events;
    unsigned long long numbers[NUMBERS];
    int code = ask_all("nvmlEventSetWait_v2");
    unsigned step_ms = is_noted ? 20 : 125;
    for (unsigned waited = 0; !code; waited += step_ms) {
        if ((code = alive())) break;
        for (int i = 0; i < set->n; i++) {
            if (errors_of(set->device[i]->uuid, numbers) <= set->seen[i]) continue;
            *data = (EventData){set->device[i], 8, numbers[set->seen[i]++], -1, -1};
            return OK;
        }
        if (waited >= timeout_ms) return TIMEOUT;
        usleep(1000 * (timeout_ms - waited < step_ms ? timeout_ms - waited : step_ms));
    }
    return code;
}
