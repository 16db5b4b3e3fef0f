// Rows of a table, or cards on a phone. Everything shown is text: Vue escapes it. Rows are keyed, so focus and hover stay
// with what they were on while others arrive above. `reach` tells which row has the focus, `deed` what was clicked.
export default {
  template: `
    <div class="scroll">
      <table class="rows" :aria-label="label">
        <thead>
          <tr>
            <th v-for="column in columns" :key="column.name" :class="column.kind" scope="col">{{ column.label }}</th>
            <th v-if="acts" class="narrow"><span class="visually-hidden">Actions</span></th>
          </tr>
        </thead>
        <tbody>
          <tr v-for="row in rows" :key="row.id" :id="'row-' + row.id" :tabindex="focusable ? 0 : undefined"
              @focusin="reach(row.id)">
            <td v-for="column in columns" :key="column.name" :class="column.kind" :data-label="column.label">
              <template v-for="cell in [row.cells[column.name] || {}]">
                <afl-time v-if="cell.ms !== null && cell.ms !== undefined" :ms="cell.ms" short></afl-time>
                <span v-else-if="cell.tone !== null && cell.tone !== undefined" class="chip"
                  :data-tone="cell.tone">{{ cell.text }}</span>
                <a v-else-if="cell.href" :href="cell.href" class="main" :class="{mono: cell.mono}">{{ cell.text }}</a>
                <span v-else class="main" :class="{mono: cell.mono}">{{ cell.text }}</span>
                <small v-if="cell.sub">{{ cell.sub }}</small>
              </template>
            </td>
            <td v-if="acts" class="narrow whole">
              <span v-if="row.deeds.length" class="deeds" role="group" :aria-label="row.about">
                <button v-for="deed in row.deeds" :key="deed.name" type="button" class="deed" :data-tone="deed.tone"
                  :title="deed.title" :aria-label="deed.title" :aria-pressed="deed.pressed === null ? undefined : String(deed.pressed)"
                  @click="$emit('deed', {id: row.id, deed: deed.name})">{{ deed.label }}</button>
              </span>
            </td>
          </tr>
        </tbody>
      </table>
    </div>
  `,
  props: { columns: Array, rows: Array, label: String, focusable: Boolean },
  emits: ["deed", "reach"],
  computed: {
    acts() {
      return this.rows.some((row) => row.deeds.length);
    },
  },
  methods: {
    reach(id) {
      this.at = this.rows.findIndex((row) => row.id === id);
      this.$emit("reach", id);
    },
    // Move the focus by some rows from where it is, or was when its row went away.
    step(by) {
      if (!this.rows.length) return;
      const here = document.activeElement?.closest?.("tr[id]");
      const place = here ? this.rows.findIndex((row) => "row-" + row.id === here.id) + by : (this.at ?? 0);
      this.to(this.rows[Math.min(Math.max(place, 0), this.rows.length - 1)].id);
    },
    to(id) {
      document.getElementById("row-" + id)?.focus();
    },
  },
};
