# Builds fleetcast and leaves the compiler behind. Runs as a user without rights; data lives in /data.
FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No install scripts: what is needed ships its binaries in its packages. Native TensorFlow (900 MB) stays out; training
# has its own kernel, and TensorFlow.js runs on WebAssembly.
RUN npm ci --ignore-scripts && rm -rf node_modules/@tensorflow/tfjs-node
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY schemas schemas
COPY src src
# Source maps, browser bundles and the data sets that the demo's fleet does not play are more than half of what is left.
RUN npm run build && npm prune --omit=dev --ignore-scripts && rm -rf node_modules/@tensorflow/tfjs-node \
 && find node_modules \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete \
 && find node_modules/@tensorflow \( -name '*.min.js' -o -name '*.es2017.js' -o -name '*.fesm.js' \) -delete \
 && find node_modules/vega-datasets/data -type f ! -name 'seattle-weather-hourly-normals.csv' -delete

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/schemas schemas
COPY --from=build /app/dist dist
RUN mkdir /data && chown node:node /data && ln -s /app/dist/cli/main.js /usr/local/bin/fleetcast
USER node
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=6 \
  CMD node -e "fetch('http://127.0.0.1:8080/health').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["run", "--config", "/etc/fleetcast/fleetcast.yaml"]
