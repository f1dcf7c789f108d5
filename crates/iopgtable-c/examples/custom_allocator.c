/*
 * Page tables in a carve-out: maps a scatter list with tables from an allocator of our own, looks
 * at the result, unmaps it, and shows that every table came back.
 *
 * Build and run it with `examples/run`.
 */
#include <inttypes.h>
#include <iopgtable.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 4096u
#define PAGES 16u

/* The carve-out. A device sees its first byte at physical address BASE. */
#define BASE 0x80000000u
static _Alignas(PAGE) unsigned char carveout[PAGES * PAGE];

struct pool {
    bool used[PAGES];
    unsigned out, peak;
    size_t published;
};

static uint8_t *pool_alloc(void *cookie, size_t bytes, int8_t level, bool root, uint64_t iova,
                           bool may_block)
{
    struct pool *pool = cookie;
    (void)may_block;
    if (bytes != PAGE) /* This geometry has no larger tables. */
        return NULL;
    for (unsigned i = 0; i < PAGES; i++) {
        if (pool->used[i])
            continue;
        pool->used[i] = true;
        if (++pool->out > pool->peak)
            pool->peak = pool->out;
        printf("  table %2u: level %d%s, for %#" PRIx64 "\n", i, level, root ? " (root)" : "", iova);
        return carveout + i * PAGE;
    }
    return NULL;
}

static void pool_free(void *cookie, uint8_t *page, size_t bytes)
{
    struct pool *pool = cookie;
    (void)bytes;
    pool->used[(size_t)(page - carveout) / PAGE] = false;
    pool->out--;
}

static uint64_t pool_phys(void *cookie, const uint8_t *page)
{
    (void)cookie;
    return BASE + (uint64_t)(page - carveout);
}

static uint8_t *pool_virt(void *cookie, uint64_t phys)
{
    (void)cookie;
    return phys - BASE < sizeof carveout ? carveout + (phys - BASE) : NULL;
}

/* Where caches are not coherent, this cleans them; here it only counts. */
static void pool_publish(void *cookie, const uint8_t *cpu, uint64_t phys, size_t bytes)
{
    struct pool *pool = cookie;
    (void)cpu;
    (void)phys;
    pool->published += bytes;
}

static void check(iopgtable_status status, const char *what)
{
    if (status != IOPGTABLE_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", what, iopgtable_status_text(status));
        exit(1);
    }
}

static void show(void *context, const iopgtable_visited *seen)
{
    (void)context;
    printf("  %-5s level %d  %#" PRIx64 " + %#" PRIx64 " -> %#" PRIx64 "\n",
           seen->prot ? "leaf" : "table", seen->level, seen->span.iova, seen->span.bytes,
           seen->phys);
}

int main(void)
{
    struct pool pool = {0};
    iopgtable_allocator allocator = {
        .cookie = &pool,
        .alloc = pool_alloc,
        .free = pool_free,
        .virt_to_phys = pool_phys,
        .phys_to_virt = pool_virt,
        .publish = pool_publish,
        .last_phys = BASE + sizeof carveout - 1,
        .zeroed = false, /* The library zeroes pages before it uses them. */
        .coherent = false,
    };
    iopgtable_config config = {
        .format = IOPGTABLE_ARM64_S1, .granule = PAGE, .input_bits = 48, .output_bits = 40};
    iopgtable *table;
    iopgtable_gather *gather;
    iopgtable_error error;

    puts("create:");
    check(iopgtable_create(&config, &allocator, &table), "create");
    check(iopgtable_gather_create(table, &gather), "gather");

    puts("map 2 MiB + 8 KiB of scattered memory at 0x40000000:");
    const iopgtable_segment list[] = {
        {.phys = 0x100000000, .bytes = 0x200000},
        {.phys = 0x123456000, .bytes = 0x1000},
        {.phys = 0x0badc0000, .bytes = 0x1000},
    };
    uint64_t iova = 0x40000000, bytes = 0x202000;
    iopgtable_table_count count;
    check(iopgtable_exact_tables(table, iova, list, 3, IOPGTABLE_READ | IOPGTABLE_WRITE, &count,
                                 &error),
          "count");
    printf("  tables that it takes at levels 1 to 3: %" PRIu64 ", %" PRIu64 ", %" PRIu64 "\n",
           count.at_level[3], count.at_level[4], count.at_level[5]);
    check(iopgtable_map(table, iova, list, 3, IOPGTABLE_READ | IOPGTABLE_WRITE, gather, &error),
          "map");

    puts("what is there:");
    check(iopgtable_visit(table, iova, bytes, show, NULL), "visit");

    iopgtable_translation where;
    check(iopgtable_translate(table, iova + 0x200042, &where), "translate");
    printf("%#" PRIx64 " leads to %#" PRIx64 "\n", iova + 0x200042, where.phys);

    iopgtable_status again =
        iopgtable_map(table, iova + 0x1ff000, list + 1, 1, IOPGTABLE_READ, gather, &error);
    printf("mapping over it: %s (at %#" PRIx64 ", a leaf of %#" PRIx64 " bytes)\n",
           iopgtable_status_text(again), error.iova, error.value);

    puts("unmap; nothing else is mapped, so the hole is the whole space:");
    iopgtable_shape_info shape;
    check(iopgtable_shape(table, &shape), "shape");
    iopgtable_range hole = {.iova = 0, .bytes = shape.last_iova + 1};
    check(iopgtable_unmap(table, iova, bytes, &hole, gather, &error), "unmap");

    iopgtable_stale stale;
    check(iopgtable_gather_stale(gather, &stale), "stale");
    printf("  to invalidate: leaves %#" PRIx64 " + %#" PRIx64 ", walks %#" PRIx64 " + %#" PRIx64 "\n",
           stale.leaves.iova, stale.leaves.bytes, stale.walks.iova, stale.walks.bytes);

    /* Here the driver has its device forget these ranges, and waits until it has. */
    size_t freed;
    check(iopgtable_gather_finish(gather, table, &freed), "finish");
    printf("  %zu tables are free again\n", freed);

    check(iopgtable_gather_destroy(gather), "destroy the gather");
    check(iopgtable_destroy(table), "destroy");
    printf("%u tables at most, %u left, %zu bytes published\n", pool.peak, pool.out,
           pool.published);
    return pool.out != 0;
}
