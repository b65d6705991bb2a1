# The proxy, and in the same image the demo backend (docker-compose.yml). See docs/docker.md.

FROM node:24-bookworm-slim AS build
WORKDIR /app
# The manifest alone first: a change in src/ then reuses the layer with the installed packages.
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY tools ./tools
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY bin ./bin
COPY docker ./docker
# `docker exec … springhouse stats` works by this name.
RUN ln -s /app/bin/springhouse.mjs /usr/local/bin/springhouse
# Files stay root's: the process can read its own program, but not change it.
USER node
EXPOSE 8080 8081
# Node asks itself: the image has no curl. Alive, not ready: a proxy whose Redis is gone still serves.
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8081/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/app/docker/entrypoint.sh"]
CMD ["serve", "--config", "/app/config/springhouse.yaml"]
