// A plain grid for tables of any width: it scrolls within itself, its head stays. Everything shown is text: Vue escapes it.
export default {
  template: `
    <div class="grid" tabindex="0" role="region" :aria-label="label">
      <table>
        <thead>
          <tr><th v-for="(column, at) in columns" :key="at" :class="{number: numbers[at]}" scope="col">{{ column }}</th></tr>
        </thead>
        <tbody>
          <tr v-for="(row, line) in rows" :key="line" :class="{marked: marks[line]}">
            <td v-for="(value, at) in row" :key="at" :class="{number: numbers[at], missing: value === null}"
              >{{ value === null ? "missing" : value }}</td>
          </tr>
        </tbody>
      </table>
    </div>
  `,
  props: { columns: Array, rows: Array, numbers: Array, marks: Array, label: String },
};
