/**
 * The component library dressed in our tokens: reads the CSS variables of the theme in force, so that a colour is
 * written once, in tokens.css.
 */
import type { GlobalThemeOverrides } from 'naive-ui'

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** Overrides for the theme that `data-theme` names now. Call again when it changes. */
export function naiveOverrides(): GlobalThemeOverrides {
  const fill = token('--accent-fill')
  const accent = token('--accent')
  const line = token('--line')
  const panel = token('--panel')
  const text = token('--text')
  const quiet = token('--text-quiet')
  return {
    common: {
      fontFamily: token('--font-text'),
      fontFamilyMono: token('--font-mono'),
      fontSize: '14px',
      fontSizeSmall: '13px',
      borderRadius: '6px',
      borderRadiusSmall: '4px',
      primaryColor: fill,
      primaryColorHover: accent,
      primaryColorPressed: fill,
      primaryColorSuppl: accent,
      infoColor: fill,
      warningColor: token('--severity-high'),
      errorColor: token('--severity-critical'),
      errorColorHover: token('--severity-critical'),
      successColor: token('--good-text'),
      bodyColor: token('--ground'),
      cardColor: panel,
      modalColor: panel,
      popoverColor: token('--raised'),
      tableColor: panel,
      inputColor: token('--panel'),
      borderColor: line,
      dividerColor: line,
      textColorBase: text,
      textColor1: text,
      textColor2: text,
      textColor3: quiet,
      placeholderColor: token('--text-faint'),
      hoverColor: token('--hover'),
    },
    Button: { textColorPrimary: '#ffffff', textColorHoverPrimary: '#ffffff', textColorPressedPrimary: '#ffffff', textColorFocusPrimary: '#ffffff', textColorDisabledPrimary: '#ffffff' },
    Drawer: { color: panel, bodyPadding: '16px 20px', headerPadding: '14px 20px', titleFontSize: '16px' },
    Input: { border: `1px solid ${line}`, color: panel, colorFocus: panel },
    InternalSelection: { border: `1px solid ${line}`, color: panel, colorActive: panel },
    Tooltip: { color: token('--raised'), textColor: text, boxShadow: `0 0 0 1px ${line}` },
    Message: { color: token('--raised') },
  }
}
