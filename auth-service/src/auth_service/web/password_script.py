"""The script of the sign-in page: a button that shows the password. Without scripts there is no such button.

It is the only script of all pages. The Content-Security-Policy of the page allows exactly this text, by its hash.
"""

__all__ = ["PASSWORD_SCRIPT"]

PASSWORD_SCRIPT = """
const password = document.getElementById("password");
const button = document.getElementById("show-password");
function show(isShown) {
  password.type = isShown ? "text" : "password";
  button.setAttribute("aria-pressed", String(isShown));
}
button.hidden = false;
button.addEventListener("click", () => show(password.type === "password"));
// Browsers keep what was entered in a text field, and do not offer to save it as a password.
password.form.addEventListener("submit", () => show(false));
"""
