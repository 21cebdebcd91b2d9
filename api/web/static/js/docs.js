// The API documentation, offline: the description of this very server, shown by Swagger UI out of a locked wheel.

const main = document.getElementById("docs");
window.SwaggerUIBundle({
  url: main.dataset.url,
  domNode: main,
  deepLinking: true,
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  presets: [window.SwaggerUIBundle.presets.apis],
});
