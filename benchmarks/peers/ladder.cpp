// The yardstick of `./dev bench matching`: a plain price ladder that knows limit, immediate-or-cancel, cancel and
// reduce and nothing else. One ladder of 4,096 ticks a series serves both sides, since no price has bids and asks at
// once; levels take 16 bytes, orders 32, from a pool whose free slots are used last in, first out, so that what is live
// stays in the cache; an order is found in an array by its id; the next best level by a bitmap of two stages. A fill is
// a record of 32 bytes.
//
// usage: ladder FLOW SERIES, where FLOW is a file of the 16-byte records of matching/simulator.py (FLOW_RECORD) and
// SERIES how many series it has. Reading the file and touching the memory come before the clock starts. Prints one line
// of integers: nanoseconds of CPU time, fills, lots, sum of price x lots, orders resting, levels.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

constexpr int32_t WIDTH = 4096;
constexpr uint32_t NONE = 0;

enum Op : uint8_t { NEW = 1, CANCEL = 2, REDUCE = 3, IMMEDIATE = 4 };

struct Command {
    uint8_t op, side;
    uint16_t series;
    uint32_t id;
    int32_t price, lots;
};
static_assert(sizeof(Command) == 16);

struct Level {
    uint32_t head, tail;
    int32_t lots;
    uint32_t count;
};
static_assert(sizeof(Level) == 16);

struct Order {
    uint32_t ahead, behind;  // behind links the free slots
    uint32_t id;
    int32_t price, lots;
    uint16_t series;
    uint8_t side;
    uint8_t unused[9];
};
static_assert(sizeof(Order) == 32);

struct Fill {
    uint32_t maker, taker;
    int32_t price, lots;
    uint64_t command;
    uint64_t series;
};
static_assert(sizeof(Fill) == 32);

// Which of the 4,096 levels have orders: a bit a level, and a bit a word of those.
struct Bitmap {
    uint64_t words[64], summary;

    void set(int32_t price) {
        words[price >> 6] |= 1ULL << (price & 63);
        summary |= 1ULL << (price >> 6);
    }
    void clear(int32_t price) {
        uint64_t word = words[price >> 6] &= ~(1ULL << (price & 63));
        if (!word) summary &= ~(1ULL << (price >> 6));
    }
    // The next level above, WIDTH if there is none.
    int32_t above(int32_t price) const {
        uint64_t word = words[price >> 6] & (~1ULL << (price & 63));
        if (word) return (price & ~63) | __builtin_ctzll(word);
        uint64_t rest = summary & (~1ULL << (price >> 6));
        if (!rest) return WIDTH;
        int at = __builtin_ctzll(rest);
        return (at << 6) | __builtin_ctzll(words[at]);
    }
    // The next level below, 0 if there is none.
    int32_t below(int32_t price) const {
        uint64_t word = words[price >> 6] & ~(~0ULL << (price & 63));
        if (word) return (price & ~63) | (63 - __builtin_clzll(word));
        uint64_t rest = summary & ~(~0ULL << (price >> 6));
        if (!rest) return 0;
        int at = 63 - __builtin_clzll(rest);
        return (at << 6) | (63 - __builtin_clzll(words[at]));
    }
};

struct Series {
    int32_t bid = 0, ask = WIDTH;  // best prices; these where a side is empty
    Bitmap used{};
    Level* levels = nullptr;
};

struct Ladder {
    std::vector<Level> levels;
    std::vector<Series> series;
    std::vector<Order> orders;
    std::vector<uint32_t> slots;  // by id
    std::vector<Fill> fills;
    uint32_t free_slot = NONE, top = 1;
    uint64_t filled = 0, resting = 0;

    Ladder(size_t commands, size_t count)
        : levels(count * WIDTH), series(count), orders(commands + 1), slots(commands + 1), fills(2 * commands) {
        for (size_t at = 0; at < count; ++at) series[at].levels = &levels[at * WIDTH];
    }

    void rest(const Command& command, int32_t lots) {
        uint32_t slot = free_slot;
        if (slot != NONE) free_slot = orders[slot].behind;
        else slot = top++;
        Series& book = series[command.series];
        Level& level = book.levels[command.price];
        orders[slot] = {level.tail, NONE, command.id, command.price, lots, command.series, command.side, {}};
        slots[command.id] = slot;
        if (level.tail == NONE) {
            level.head = slot;
            book.used.set(command.price);
            if (command.side == 0) {
                if (command.price > book.bid) book.bid = command.price;
            } else if (command.price < book.ask) book.ask = command.price;
        } else orders[level.tail].behind = slot;
        level.tail = slot;
        level.lots += lots;
        ++level.count;
        ++resting;
    }

    void take(uint32_t slot, int32_t lots) {
        Order& order = orders[slot];
        Series& book = series[order.series];
        Level& level = book.levels[order.price];
        level.lots -= lots;
        order.lots -= lots;
        if (order.lots) return;
        if (order.ahead == NONE) level.head = order.behind;
        else orders[order.ahead].behind = order.behind;
        if (order.behind == NONE) level.tail = order.ahead;
        else orders[order.behind].ahead = order.ahead;
        --resting;
        if (--level.count == 0) {
            book.used.clear(order.price);
            if (order.side == 0) {
                if (order.price == book.bid) book.bid = book.used.below(order.price);
            } else if (order.price == book.ask) book.ask = book.used.above(order.price);
        }
        slots[order.id] = NONE;
        order.behind = free_slot;
        free_slot = slot;
    }

    int32_t match(const Command& command, uint64_t number) {
        Series& book = series[command.series];
        int32_t left = command.lots;
        while (left) {
            int32_t price = command.side == 0 ? book.ask : book.bid;
            if (command.side == 0 ? price > command.price : price < command.price || price == 0) break;
            uint32_t slot = book.levels[price].head;
            Order& maker = orders[slot];
            int32_t lots = left < maker.lots ? left : maker.lots;
            left -= lots;
            fills[filled++] = {maker.id, command.id, price, lots, number, command.series};
            take(slot, lots);
        }
        return left;
    }

    void run(const std::vector<Command>& commands) {
        for (size_t at = 0; at < commands.size(); ++at) {
            const Command& command = commands[at];
            if (command.op == NEW || command.op == IMMEDIATE) {
                int32_t left = match(command, at);
                if (left && command.op == NEW) rest(command, left);
            } else if (uint32_t slot = slots[command.id]; slot != NONE) {
                int32_t left = orders[slot].lots;
                if (command.op == CANCEL) take(slot, left);
                else if (command.lots < left) take(slot, command.lots);
            }
        }
    }
};

std::vector<Command> read(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (!file) {
        std::perror(path);
        std::exit(1);
    }
    std::fseek(file, 0, SEEK_END);
    std::vector<Command> commands(std::ftell(file) / sizeof(Command));
    std::rewind(file);
    if (std::fread(commands.data(), sizeof(Command), commands.size(), file) != commands.size()) {
        std::perror(path);
        std::exit(1);
    }
    std::fclose(file);
    return commands;
}

// What this process had of its core.
int64_t cpu_ns() {
    std::timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: ladder FLOW SERIES\n");
        return 2;
    }
    std::vector<Command> commands = read(arguments[1]);
    Ladder ladder(commands.size(), std::strtoul(arguments[2], nullptr, 10));
    int64_t start = cpu_ns();
    ladder.run(commands);
    int64_t took_ns = cpu_ns() - start;

    int64_t lots = 0, price_lots = 0, levels = 0;
    for (uint64_t at = 0; at < ladder.filled; ++at) {
        lots += ladder.fills[at].lots;
        price_lots += int64_t{ladder.fills[at].price} * ladder.fills[at].lots;
    }
    for (const Level& level : ladder.levels) levels += level.count != 0;
    std::printf("%lld %llu %lld %lld %llu %lld\n",
                (long long)took_ns,
                (unsigned long long)ladder.filled, (long long)lots, (long long)price_lots,
                (unsigned long long)ladder.resting, (long long)levels);
}
